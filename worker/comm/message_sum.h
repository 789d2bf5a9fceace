#pragma once
// Sums by messages that run beside computation. For worker/comm only.
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator_state.h"

namespace lockstep {

/// One sum at a time. Has the scratch memory that it needs.
class MessageSum {
 public:
  virtual ~MessageSum() = default;
  /// `tag` is another for each sum under way.
  virtual void start(std::span<float> values, int tag, std::string_view name) = 0;
  virtual bool progress() = 0;  // true when done
  virtual void abandon() = 0;   // the memory must stay valid: MPI may still write to it
};

/// `method` is kRing or kHalvingDoubling. `values`: of the largest sum. Borrows the channel.
std::unique_ptr<MessageSum> make_message_sum(const Channel& channel, std::size_t values,
                                             SumMethod method, const AllReduceOptions& options);
std::size_t message_sum_bytes(std::size_t values, int ranks, SumMethod method,
                              const AllReduceOptions& options);

}  // namespace lockstep
