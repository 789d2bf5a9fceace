#pragma once
#include <filesystem>
#include <memory>

#include "coordinator/bench/bench_directory.h"
#include "coordinator/bench/step_bench.h"
#include "coordinator/saver.h"

namespace lockstep {

/// A stretch of training steps, and another of as many while a checkpoint is saved. Seconds of the
/// slowest rank.
struct SavingSeconds {
  int steps = 0;       // of each stretch
  double without = 0;  // the first stretch
  double with = 0;     // the second
  double blocked = 0;  // of it: no step could run (snapshot, agreeing, publishing)
  double save = 0;     // of it: from the snapshot until the checkpoint was there, steps among them

  double blocked_share() const { return blocked / with; }
  double slowdown() const { return with / without - 1; }
};

/// What checkpoints cost the training of a job: its steps, with a Saver beside them as in training.
/// Everything is collective.
class SavingBench {
 public:
  /// @throws as StepBench; IoError.
  SavingBench(const Job& job, const Shape& input, int classes, const std::filesystem::path& parent,
              const Communicator& group);

  /// Both stretches, each of about `seconds`; the save begins with the second one.
  /// @throws IoError if it fails.
  SavingSeconds run(double seconds);

 private:
  /// Seconds of `work` on the slowest rank.
  template <typename Work>
  double time(Work work) const;
  double boundary();

  const Communicator& group_;
  BenchDirectory directory_;
  StepBench steps_;
  std::unique_ptr<Saver> saver_;
  std::int64_t step_ = 0;
};

}  // namespace lockstep
