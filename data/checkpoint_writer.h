#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "data/checkpoint.h"

namespace lockstep {

/// Writes checkpoints beside training, on one thread of its own; training waits only while it
/// copies its tensors into the snapshot. Per save and rank:
///     copy into snapshot();  start_shard(directory, rank, views of the snapshot);
///     ... steps go on; at each step boundary: if (finished()) { send take_report() to rank 0; }
/// It never calls MPI. The thread inherits the CPU mask of the thread that constructs it: construct
/// before that is bound to a core. Not thread safe: one owner.
class CheckpointWriter {
 public:
  /// Takes the memory of the snapshot, once. 0: nothing to write on this rank (it may still prune).
  explicit CheckpointWriter(std::size_t snapshot_floats);
  /// Waits for what is being written.
  ~CheckpointWriter();
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// @throws InternalError while a job has it.
  std::span<float> snapshot();

  /// write_shard in the background. The values must lie within the snapshot.
  /// @throws InternalError if they do not, or if the last job's report has not been taken.
  void start_shard(std::filesystem::path temporary_directory, int writer,
                   std::vector<TensorView> tensors);

  /// prune_checkpoints in the background; the report is empty.
  void start_prune(std::filesystem::path checkpoints, int keep_newest,
                   std::optional<std::int64_t> best_step);

  bool busy() const;      // a job was started and its report not taken
  bool finished() const;  // it has ended: take_report() will not wait

  /// Waits for the job; returns its report or rethrows its error. Either way the writer is free
  /// again.
  std::string take_report();

 private:
  void start(std::function<std::string()> job);
  void work();

  std::vector<float> snapshot_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  enum class Phase { kIdle, kStarted, kEnded, kStopping } phase_ = Phase::kIdle;
  std::function<std::string()> job_;
  std::string report_;
  std::exception_ptr error_;
  std::thread thread_;  // last: all else exists when it starts
};

}  // namespace lockstep
