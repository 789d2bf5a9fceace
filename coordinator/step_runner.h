#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/feed.h"
#include "coordinator/health/training_health.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"

namespace lockstep {

/// Runs the steps of a training on one rank: its micro-batches, and what they come to.
class StepRunner {
 public:
  /// Makes the loader, and the executors ready for the sizes of an epoch's steps, so that no step does. `health` is
  /// told before each step.
  StepRunner(const RunContext& run, TrainingHealth& health);

  /// Steps come from `where` on. With a scatter rank 0 sends the first ones' samples: collective.
  void begin(const TrainingState& where);
  /// Lets go of what was loaded ahead.
  void end();

  /// The next step; all ranks walk it. Its metrics are the course's last_step.
  void step(RunCourse& course);

 private:
  void make_loader();
  void prepare_sizes();
  void compute(const RunCourse& course, const Positions& whole, StepMetrics& metrics);
  void make_contexts(const RunCourse& course, const Positions& whole, const StepMetrics& metrics,
                     std::span<const TrainingFeed::MicroBatch> parts, bool first);

  RunContext run_;
  TrainingHealth& health_;
  std::unique_ptr<Loader> loader_;     // of a rank that loads
  std::optional<TrainingFeed> feed_;   // from begin() to end()
  std::vector<StepContext> contexts_;  // of one run of the executor
  std::vector<int> sizes_;
};

}  // namespace lockstep
