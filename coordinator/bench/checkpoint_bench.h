#pragma once
#include <cstdint>
#include <filesystem>

#include "coordinator/bench/bench_directory.h"
#include "layers/graph.h"
#include "worker/memory.h"

namespace lockstep {

/// One checkpoint of a model, and beside it a plain file of as many bytes on the same disk. Seconds
/// of the slowest rank.
struct CheckpointSeconds {
  double snapshot = 0;  // what training waits for; the rest happens beside it
  double write = 0;     // tensors into the shards
  double sync = 0;      // shards to the disk
  double hash = 0;      // shards read again, for the manifest: what that took longer than the disk
  double publish = 0;   // index, manifest, rename
  double verify = 0;    // Checkpoint::open
  double plain_write = 0, plain_sync = 0;

  double save() const { return write + sync + hash + publish; }
  double plain() const { return plain_write + plain_sync; }
};

/// Saves checkpoints of a model as training does, all ranks sharing the writing, into a directory
/// of its own that is removed at the end. Everything is collective.
class CheckpointBench {
 public:
  /// Makes the directory in `parent`, which must be seen by all ranks. @throws IoError.
  CheckpointBench(const Graph& graph, const std::filesystem::path& parent,
                  const Communicator& group);

  /// One checkpoint and one plain file. @throws IoError, CheckpointError.
  CheckpointSeconds run();

  std::uint64_t bytes() const { return bytes_; }  // of all tensors

 private:
  void save(CheckpointSeconds& seconds);
  void write_plain(CheckpointSeconds& seconds);

  const Communicator& group_;
  ModelState state_;
  BenchDirectory directory_;
  std::uint64_t bytes_ = 0;
  std::vector<float> snapshot_;  // of what this rank writes
  std::int64_t step_ = 0;
};

}  // namespace lockstep
