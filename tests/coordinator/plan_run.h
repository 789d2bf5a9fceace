#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "worker/plan.h"

namespace lockstep {

/// Walks a plan as the executor does, but only writes down who touches which byte of the arena.
/// Knows nothing of how offsets were found: a plan is right if
/// - every access lies in the arena,
/// - what is read was last written under the name of the buffer that is read,
/// - between two barriers no thread touches what another one writes.
class PlanRun {
 public:
  explicit PlanRun(const Plan& plan);

  /// One micro-batch of `images` images; of a stage of a pipeline all its micro-batches.
  void micro_batch(int images);

  /// What was wrong, each kind of it once.
  const std::set<std::string>& faults() const { return faults_; }

  /// Whether a buffer (of the latest micro-batch's images) still holds what was written there.
  bool holds(BufferId id) const;

 private:
  struct Bytes {
    std::size_t begin = 0, end = 0;
  };

  void run_lanes(const Phase& phase);
  void run_call(int call, int thread, bool chunk_only);
  void send(const Message& message);
  void transfer(const Message& message);
  void read(const std::string& who, BufferId id, int thread, const Bytes& bytes);
  void write(const std::string& who, BufferId id, int thread, const Bytes& bytes);
  void barrier();
  std::vector<Bytes> bytes_of(BufferId id, bool chunk_only) const;
  bool outside(const std::string& who, const Bytes& bytes);

  const Plan& plan_;
  std::set<std::string> faults_;
  std::vector<BufferId> content_;              // by byte: the buffer last written there
  std::vector<std::int16_t> writer_, reader_;  // by byte: thread, since the last barrier
  int images_ = 0;
  int lane_ = 0, chunk_begin_ = 0, chunk_end_ = 0;  // where a lane is
};

}  // namespace lockstep
