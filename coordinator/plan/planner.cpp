#include "coordinator/plan/planner.h"

#include "coordinator/plan/allocate.h"
#include "coordinator/plan/fuse.h"
#include "coordinator/plan/lower.h"
#include "coordinator/plan/schedule.h"
#include "coordinator/plan/switches.h"

namespace lockstep {

Plan make_plan(const Graph& graph, const Backend& backend, const PlanOptions& options) {
  const Fusion fusion = fuse(graph);
  Plan plan = allocate(schedule(graph, lower(graph, fusion, backend, options), options));
  if (options.training) add_switches(graph, plan);
  return plan;
}

std::uint64_t plan_hash(const Plan& plan) {
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a
  auto mix = [&](std::uint64_t value) {
    for (int i = 0; i < 8; ++i) hash = (hash ^ ((value >> (8 * i)) & 0xFF)) * 1099511628211ull;
  };
  mix(static_cast<std::uint64_t>(plan.layout));
  mix(static_cast<std::uint64_t>(plan.activations));
  for (const Call& c : plan.calls) {
    mix(static_cast<std::uint64_t>(c.kind));
    mix(static_cast<std::uint64_t>(c.op));
    mix(static_cast<std::uint64_t>(c.chunk_images));
    mix(c.replay);
    mix(static_cast<std::uint64_t>(c.micro_batch));
  }
  for (const PlanItem& item : plan.items) {
    const auto* message = std::get_if<Message>(&item.what);
    if (!message) continue;
    mix(static_cast<std::uint64_t>(message->kind));
    if (message->buffer != kNone) {
      mix(plan.buffer(message->buffer).bytes);
      mix(plan.buffer(message->buffer).image_bytes);
    }
    if (message->peer != kNone) mix(static_cast<std::uint64_t>(message->peer));
    mix(static_cast<std::uint64_t>(message->tag));
    if (message->bucket != kNone)
      mix(plan.buckets[static_cast<std::size_t>(message->bucket)].count);
  }
  return hash;
}

std::vector<StageAction> stage_actions(const Plan& plan) {
  std::vector<StageAction> actions;
  std::vector<int> started(static_cast<std::size_t>(plan.transfers), 0);
  for (const PlanItem& item : plan.items) {
    const auto* m = std::get_if<Message>(&item.what);
    if (!m || !is_transfer(m->kind)) {
      if (actions.empty() || actions.back().kind != StageAction::Kind::kRun)
        actions.push_back({.name = m ? m->name : std::get<Phase>(item.what).name});
      continue;
    }
    StageAction action{
        .kind = StageAction::Kind::kFinish,
        .name = m->name,
        .peer = m->peer,
        .tag = m->tag,
        .bytes = plan.buffer(m->buffer).image_bytes * static_cast<std::size_t>(plan.max_images)};
    int& start = started[static_cast<std::size_t>(m->transfer)];
    if (m->kind == MessageKind::kStartSend) action.kind = StageAction::Kind::kStartSend;
    if (m->kind == MessageKind::kStartReceive) action.kind = StageAction::Kind::kStartReceive;
    if (action.kind == StageAction::Kind::kFinish)
      action.started = start;
    else
      start = static_cast<int>(actions.size());
    actions.push_back(std::move(action));
  }
  return actions;
}

}  // namespace lockstep
