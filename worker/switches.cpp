#include "worker/switches.h"

#include <algorithm>
#include <cstring>

#include "layers/branch_draws.h"

namespace lockstep {

Switches::Switches(const Plan& plan, const Graph& graph,
                   const std::function<Memory(BufferId)>& memory_of)
    : plan_(plan), graph_(graph) {
  if (plan.switches.empty()) return;
  off_.assign(plan.calls.size(), 0);
  gate_off_.assign(graph.ops().size(), 0);
  for (const Switch& s : plan.switches) {
    std::vector<Zeroed>& all = zeroed_.emplace_back();
    for (const BufferId b : s.zeroed)
      all.push_back({memory_of(b), plan.buffer(b).segment == Segment::kGradients});
  }
}

bool Switches::any_off(const std::vector<OpId>& gates) const {
  return std::ranges::any_of(
      gates, [&](OpId gate) { return gate_off_[static_cast<std::size_t>(gate)] != 0; });
}

void Switches::draw(const StepContext& context) {
  if (off_.empty()) return;
  for (std::size_t i = 0; i < gate_off_.size(); ++i)
    gate_off_[i] =
        context.leaves_out && switched_off(graph_.ops()[i], static_cast<OpId>(i), context.seed,
                                           context.step, context.step_begin, context.step_end);
  for (std::size_t c = 0; c < off_.size(); ++c) off_[c] = any_off(plan_.switches[c].gates);
}

bool Switches::is_off(const Message& message) const {
  return !off_.empty() && any_off(message.gates);
}

void Switches::zero(int call, const StepContext& context, const Lane& lane,
                    const Range& range) const {
  for (const Zeroed& z : zeroed_[static_cast<std::size_t>(call)]) {
    const Memory& m = z.memory;
    if (m.image_bytes > 0)
      std::memset(m.at<std::byte>(lane, range), 0,
                  m.image_bytes * static_cast<std::size_t>(range.last - range.first));
    else if (range.first == 0 &&
             (!z.adds || context.first_micro_batch))  // one thread has the first unit
      std::memset(m.of_lane<std::byte>(), 0, m.bytes);
  }
}

}  // namespace lockstep
