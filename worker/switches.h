#pragma once
#include <functional>
#include <vector>

#include "layers/backend.h"
#include "layers/graph.h"
#include "worker/plan.h"

namespace lockstep {

/// Which calls and messages of a plan a step leaves out, since what gates and stochastic depth draw has switched their
/// branch off. All ranks draw the same, so their messages stay matched.
class Switches {
 public:
  /// `memory_of`: where a buffer of the plan lies. `plan` and `graph` must outlive this.
  Switches(const Plan& plan, const Graph& graph, const std::function<Memory(BufferId)>& memory_of);

  /// Before a step.
  void draw(const StepContext& context);

  bool is_off(int call) const { return !off_.empty() && off_[static_cast<std::size_t>(call)]; }
  bool is_off(const Message& message) const;

  /// In place of a call that is off: what others read of it becomes zero.
  void zero(int call, const StepContext& context, const Lane& lane, const Range& range) const;

 private:
  struct Zeroed {
    Memory memory;
    bool adds;  // a gradient, to which micro-batches add
  };
  bool any_off(const std::vector<OpId>& gates) const;

  const Plan& plan_;
  const Graph& graph_;
  std::vector<std::vector<Zeroed>> zeroed_;  // by call
  std::vector<char> off_;                    // by call; empty if nothing is ever off
  std::vector<char> gate_off_;               // by op
};

}  // namespace lockstep
