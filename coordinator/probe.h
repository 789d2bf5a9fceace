#pragma once
#include <map>
#include <span>
#include <tuple>
#include <vector>

#include "coordinator/plan/rank_options.h"
#include "coordinator/stages/chain_weights.h"

namespace lockstep {

/// How long the calls of a model's plans take on this machine, by (kind, op, input): whatever a plan
/// looks like, it is made of them.
class CallTimes {
 public:
  /// @param seconds of each call of `plan` in a step of `images` images, summed over the lanes
  CallTimes(const Plan& plan, std::span<const double> seconds, int images);

  /// Of one lane for one image; of units of work that threads share, of all of them.
  double of(const Call& call) const;

  /// A whole step's, of one rank: phases one after another, lanes side by side. Without messages.
  double step(const Plan& plan, int images, int micro_batches) const;

  /// Of every op and of one micro-batch, if the plan was the whole model's, without recomputation.
  OpTimes ops(const Graph& graph, int images, int lanes) const;

  /// For the solver: computing each value again for the images of a rank's micro-batch.
  ReplaySeconds replays(const Graph& graph, int images, int lanes) const;

 private:
  using Key = std::tuple<CallKind, OpId, int>;
  static Key key(const Call& call) { return {call.kind, call.op, call.input_index}; }
  struct Sum {
    double seconds = 0;
    int calls = 0;
  };
  std::map<Key, Sum> sums_;
};

/// Runs a few steps on made-up images, as many at a time as fit into a small arena and the rank's budget, and takes the
/// median time of each call. All ranks of a node do it at once, as in training. `alone` is a group of
/// this rank only. Takes a second or two.
CallTimes probe_calls(const Graph& graph, const RankOptions& options, const Communicator& alone);

/// Bytes that probe_calls takes: the whole model's state and a small training arena.
std::size_t probe_bytes(const Graph& graph, const RankOptions& options);

/// Probes on all ranks of `group`; what rank 0 measured. Collective.
OpTimes probe_op_times(const Graph& graph, const RankOptions& options, const Communicator& group);

/// Probes on all ranks of `group`, and lets recompute = auto reckon with what rank 0 measured. Collective.
CallTimes probe_for_plan(const Graph& graph, RankOptions& options, const Communicator& group);

}  // namespace lockstep
