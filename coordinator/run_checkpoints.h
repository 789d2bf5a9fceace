#pragma once
#include <optional>

#include "coordinator/checkpoint_pacer.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"
#include "coordinator/saver.h"

namespace lockstep {

/// The checkpoints that a training writes: beside its steps, and by the clock too. All ranks call its functions in
/// step, but for those that say otherwise.
class RunCheckpoints {
 public:
  explicit RunCheckpoints(const RunContext& run);

  /// One is due by the clock: rank 0 knows. No communication, nor have the next three any.
  bool due_by_clock() const;
  /// This rank's part of the one under way is on the disk.
  bool written() const { return saver_.ready(); }
  /// A step has taken so long.
  void step_took(double seconds) { pacer_.step(seconds, saver_.saving()); }
  std::optional<std::int64_t> saving_step() const { return saver_.saving_step(); }

  /// Begins one; an older one that is still being written is published first.
  void save(const TrainingState& where);
  /// Publishes the one under way, if there is one. Waits if needed.
  void publish();
  /// At the end of a training. @throws IoError or HealthError if the last one could not be saved.
  void check_saved(const StepMetrics& last_step) const;

 private:
  RunContext run_;
  Saver saver_;
  CheckpointPacer pacer_;  // rank 0's counts
  bool saved_ = true;      // the newest save has not failed
};

}  // namespace lockstep
