#include "coordinator/probe.h"

#include <algorithm>
#include <random>

#include "coordinator/engine.h"
#include "data/timing.h"
#include "layers/loss.h"

namespace lockstep {

namespace {

constexpr int kWarmUp = 2, kSteps = 5;
constexpr std::size_t kArenaBytes = 512u << 20;

/// Which calls are of lanes, by position in Plan::calls.
std::vector<bool> lane_calls(const Plan& plan) {
  std::vector<bool> of_lanes(plan.calls.size(), false);
  for (const PlanItem& item : plan.items)
    if (const auto* phase = std::get_if<Phase>(&item.what);
        phase && phase->kind == PhaseKind::kLanes)
      for (int c : phase->calls) of_lanes[static_cast<std::size_t>(c)] = true;
  return of_lanes;
}

std::size_t state_bytes(const Graph& graph, const Optimizer& optimizer) {
  return optimizer_rule(optimizer).copies() * ModelState::gradient_bytes(graph) +
         statistic_offsets(graph).back() * sizeof(float);
}

/// The whole model's plan for as many images as training would have at a time, halved until they need little memory,
/// within the rank's budget.
RankPlan plan_probe(const Graph& graph, RankOptions options) {
  const std::size_t budget = options.memory.budget_bytes,
                    state = state_bytes(graph, options.optimizer);
  const std::size_t most =
      budget == 0 ? kArenaBytes : std::min(kArenaBytes, budget - std::min(budget, state));
  options.plan.pipeline = {};
  options.memory = {};
  RankPlan plan = plan_rank(graph, options);
  const auto too_large = [&](const Plan& step) {
    return step.max_images > step.lanes && step.arena_bytes > most;
  };
  if (!too_large(plan.train)) return plan;
  PlanOptions step = plan.options.plan;
  do {
    step.max_images = std::max(step.lanes, step.max_images / 2);
  } while (too_large(make_plan(*plan.graph, *plan.backend, step)));
  options.plan.max_images = step.max_images;
  return plan_rank(graph, options);
}

/// Images and labels for steps of a probe.
struct Input {
  Input(const Graph& graph, int images) : positions(static_cast<std::size_t>(images), 0) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    pixels.resize(positions.size() *
                  static_cast<std::size_t>(graph.value(graph.input()).shape.elements()));
    std::ranges::generate(pixels, [&] { return normal(random); });
    labels.assign(positions.size() * static_cast<std::size_t>(labels_of_image(graph)), 0);
  }
  std::vector<float> pixels;
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> positions;
};

}  // namespace

CallTimes::CallTimes(const Plan& plan, std::span<const double> seconds, int images) {
  const std::vector<bool> of_lanes = lane_calls(plan);
  for (std::size_t c = 0; c < plan.calls.size(); ++c) {
    Sum& sum = sums_[key(plan.calls[c])];
    sum.seconds += of_lanes[c] ? seconds[c] / images : seconds[c];
    ++sum.calls;
  }
}

double CallTimes::of(const Call& call) const {
  const auto found = sums_.find(key(call));
  return found == sums_.end() ? 0 : found->second.seconds / found->second.calls;
}

double CallTimes::step(const Plan& plan, int images, int micro_batches) const {
  const int lane_most = (images + plan.lanes - 1) / plan.lanes;
  double seconds = 0;
  for (const PlanItem& item : plan.items) {
    const auto* phase = std::get_if<Phase>(&item.what);
    if (!phase) continue;
    double sum = 0;
    for (int c : phase->calls) {
      const auto i = static_cast<std::size_t>(c);
      sum += of(plan.calls[i]) * (plan.switches.empty() ? 1 : plan.switches[i].on);
    }
    if (phase->kind == PhaseKind::kLanes) sum *= lane_most;
    if (phase->kind == PhaseKind::kTeam) sum /= plan.lanes;
    seconds += item.last_micro_batch_only ? sum : sum * micro_batches;
  }
  return seconds;
}

OpTimes CallTimes::ops(const Graph& graph, int images, int lanes) const {
  OpTimes times(graph.ops().size(), PartTimes{0, 0, 0});
  for (const auto& [key, sum] : sums_) {
    const auto& [kind, id, input] = key;
    if (id == kNone) continue;
    PartTimes& op = times[static_cast<std::size_t>(id)];
    const double lane = sum.seconds * ((images + lanes - 1) / lanes), team = sum.seconds / lanes;
    switch (kind) {
      case CallKind::kForward:
      case CallKind::kStatistics:
        op.forward += lane;
        break;
      case CallKind::kPackWeights:
        op.forward += team;
        break;
      case CallKind::kCombineStatistics:
      case CallKind::kFinishStatistics:
      case CallKind::kCombineLoss:
        op.forward += sum.seconds;
        break;
      case CallKind::kBackwardWeights:
        op.backward_weights += lane;
        break;
      case CallKind::kFoldGradient:
        op.backward_weights += team;
        break;
      case CallKind::kPackWeightsBackward:
        op.backward_data += team;
        break;
      case CallKind::kCombineBackward:
      case CallKind::kFinishBackward:
        op.backward_data += sum.seconds;
        break;
      default:
        op.backward_data += lane;
    }
  }
  return times;
}

ReplaySeconds CallTimes::replays(const Graph& graph, int images, int lanes) const {
  const Fusion fusion = fuse(graph);
  ReplaySeconds replays(graph.values().size(), 0);
  for (const auto& [key, sum] : sums_) {
    const auto& [kind, id, input] = key;
    if (kind != CallKind::kForward || id == kNone || graph.op(id).output == kNone) continue;
    const int group = fusion.group_of[static_cast<std::size_t>(id)];
    const ValueId made = group == kNone ? graph.op(id).output
                                        : fusion.groups[static_cast<std::size_t>(group)].output;
    replays[static_cast<std::size_t>(made)] += sum.seconds / sum.calls * images / lanes;
  }
  return replays;
}

CallTimes probe_calls(const Graph& graph, const RankOptions& options, const Communicator& alone) {
  Engine engine(plan_probe(graph, options), alone);
  const int images = engine.train_plan().max_images;
  engine.state().initialize(1);
  Executor& executor = engine.trainer();
  executor.prepare(images);
  Input input(graph, images);
  const StepContext context{.seed = 1,
                            .loss_divisor = static_cast<double>(images),
                            .positions = input.positions,
                            .leaves_out = false,
                            .pixels = input.pixels.data(),
                            .labels = input.labels.data(),
                            .images = images};
  for (int i = 0; i < kWarmUp; ++i) executor.run(context);
  std::vector<std::vector<double>> seconds(engine.train_plan().calls.size());
  std::vector<std::uint64_t> before = executor.call_ticks();
  for (int i = 0; i < kSteps; ++i) {
    const double begin = seconds_now();
    const std::uint64_t first = ticks_now();
    executor.run(context);
    const double tick = (seconds_now() - begin) /
                        static_cast<double>(std::max<std::uint64_t>(ticks_now() - first, 1));
    const std::vector<std::uint64_t> after = executor.call_ticks();
    for (std::size_t c = 0; c < seconds.size(); ++c)
      seconds[c].push_back(static_cast<double>(after[c] - before[c]) * tick);
    before = after;
  }
  std::vector<double> medians;
  for (const std::vector<double>& of_call : seconds) medians.push_back(median(of_call));
  return CallTimes(engine.train_plan(), medians, images);
}

std::size_t probe_bytes(const Graph& graph, const RankOptions& options) {
  return state_bytes(graph, options.optimizer) + plan_probe(graph, options).train.arena_bytes;
}

OpTimes probe_op_times(const Graph& graph, const RankOptions& options, const Communicator& group) {
  const Communicator alone = group.split(group.rank(), 0, "probe");
  OpTimes times =
      probe_calls(graph, options, alone).ops(graph, options.plan.max_images, options.plan.lanes);
  group.broadcast(times, 0, "probe");
  return times;
}

CallTimes probe_for_plan(const Graph& graph, RankOptions& options, const Communicator& group) {
  const Communicator alone = group.split(group.rank(), 0, "probe");
  CallTimes times = probe_calls(graph, options, alone);
  ReplaySeconds replays = times.replays(graph, options.plan.max_images, options.plan.lanes);
  group.broadcast(replays, 0, "probe");
  options.memory.recompute.seconds = std::move(replays);
  return times;
}

}  // namespace lockstep
