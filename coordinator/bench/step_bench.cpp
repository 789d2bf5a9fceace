#include "coordinator/bench/step_bench.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/engine_setup.h"
#include "coordinator/machine_memory.h"
#include "coordinator/plan/batches.h"
#include "coordinator/rank_cpus.h"
#include "data/error.h"
#include "data/timing.h"
#include "layers/loss.h"

namespace lockstep {

namespace {

void check(const Job& job, int replicas, const StepBench::Options& options) {
  if (job.parallel.coordinator == "dedicated")
    throw ConfigError(
        "a benchmark of the step has no coordinator that does nothing else; add "
        "--set parallel.coordinator=worker");
  if (job.train.batch < replicas)
    throw ConfigError("train.batch = " + std::to_string(job.train.batch) + " leaves some of " +
                      std::to_string(replicas) + " replicas without images; make it larger");
  if (job.parallel.stages == 1) return;
  const std::string stages = "parallel.stages = " + std::to_string(job.parallel.stages);
  if (options.predict)
    throw ConfigError(
        "--predict is for ranks that run the whole model, and " + stages +
        "; lockstep plan forecasts stages. Leave it out, or add --set parallel.stages=1");
  if (options.without_reduce && replicas == 1)
    throw ConfigError("--no-reduce: " + stages +
                      " on as many ranks is one replica, which reduces no "
                      "gradients; leave it out, or start twice the ranks");
}

const char* pass_of(CallKind kind) {
  switch (kind) {
    case CallKind::kForward:
      return "forward";
    case CallKind::kBackwardData:
      return "data gradient";
    case CallKind::kBackwardWeights:
      return "weight gradient";
    case CallKind::kFoldGradient:
      return "fold";
    case CallKind::kPackWeights:
    case CallKind::kPackWeightsBackward:
      return "pack";
    case CallKind::kStatistics:
      return "statistics";
    case CallKind::kBackwardSums:
      return "backward sums";
    case CallKind::kSum:
      return "sum";
    case CallKind::kUpdate:
    case CallKind::kGradientNorm:
      return "update";
    default:
      return "finish";
  }
}

}  // namespace

Plan without_gradient_reduction(Plan plan) {
  std::erase_if(plan.items, [](const PlanItem& item) {
    const auto* message = std::get_if<Message>(&item.what);
    return message && (message->kind == MessageKind::kStartReduce ||
                       message->kind == MessageKind::kFinishReduce);
  });
  plan.buckets.clear();
  return plan;
}

StepBench::StepBench(const Job& job, const Shape& input, int classes, const Communicator& group,
                     const Options& options)
    : group_(group), grid_(make_grid(job.parallel.stages, group)), batch_(job.train.batch) {
  check(job, grid_.replicas(), options);
  agree_on_instruction_set(group);
  if (staged()) groups_.emplace(split_grid(grid_, group));
  Graph graph = build_model(job.model, input, classes);
  threads_ = lanes_of_rank(job.parallel.threads, group);
  RankOptions rank = rank_options(job, graph, grid_.replicas(), threads_);
  rank.all_reduce =
      chosen_all_reduce(rank.all_reduce, job, table_text(job, {}, group), group, same_stage());
  if (options.nhwc) rank.plan.layout = LayoutKind::kNhwc;
  limit_to_machine(rank, group);
  JobEngine made = make_engine(job, std::move(graph), rank, group_, groups_ ? &*groups_ : nullptr,
                               options.predict);
  engine_ = std::move(made.engine);
  choice_ = std::move(made.pipeline);
  predicted_seconds_ = made.predicted_seconds;
  engine_->state().initialize(job.run.seed);
  if (options.without_reduce) {
    plan_without_reduce_ = without_gradient_reduction(engine_->train_plan());
    without_reduce_ = engine_->make_executor(plan_without_reduce_);
  }
  make_images(job, input, classes);
  prepare_steps();
  start_profile();
}

void StepBench::make_images(const Job& job, const Shape& input, int classes) {
  const int replica = grid_.replica_of(group_.rank());
  int largest = 0;
  for (int i = 0; i < job.train.micro_batches; ++i) {
    const Positions part =
        micro_batch_positions({0, batch_}, replica, grid_.replicas(), i, job.train.micro_batches);
    micro_batches_.push_back(static_cast<int>(part.count()));
    images_ += micro_batches_.back();
    largest = std::max(largest, micro_batches_.back());
  }
  std::mt19937 random(static_cast<unsigned>(replica));
  std::normal_distribution<float> normal;
  pixels_.resize(static_cast<std::size_t>(largest * input.elements()));
  std::ranges::generate(pixels_, [&] { return normal(random); });
  labels_.resize(static_cast<std::size_t>(largest) *
                 static_cast<std::size_t>(labels_of_image(engine_->graph())));
  for (std::int32_t& label : labels_)
    label = static_cast<std::int32_t>(random() % static_cast<unsigned>(classes));
  positions_.resize(static_cast<std::size_t>(largest));
  std::iota(positions_.begin(), positions_.end(),
            part_of({0, batch_}, replica, grid_.replicas()).begin);
}

void StepBench::prepare_steps() {
  for (const int images : micro_batches_)
    contexts_.push_back({.seed = 1,
                         .loss_divisor = static_cast<double>(batch_),
                         .positions = std::span(positions_).first(static_cast<std::size_t>(images)),
                         .step_begin = 0,
                         .step_end = batch_,
                         .pixels = pixels_.data(),
                         .labels = labels_.data(),
                         .first_micro_batch = contexts_.empty(),
                         .images = images,
                         .learning_rate = 0.01f});
  for (Executor* executor : {&engine_->trainer(), without_reduce_.get()})
    for (std::size_t i = 0; executor && i < micro_batches_.size(); i += at_once())
      executor->prepare(std::span(micro_batches_).subspan(i, at_once()));
}

double StepBench::time_step(Executor& executor) {
  group_.barrier("bench step");
  const double begin = seconds_now();
  times_ = {};
  for (StepContext& context : contexts_) context.step = step_;
  for (std::size_t i = 0; i < contexts_.size(); i += at_once()) {
    executor.run(std::span(contexts_).subspan(i, at_once()), i + at_once() == contexts_.size());
    times_ += executor.times();
  }
  const double seconds = seconds_now() - begin;
  ++step_;
  return group_.all_reduce(seconds, ReduceOp::kMax, "bench step");
}

std::map<std::string, double> StepBench::profile() {
  std::map<std::string, double> shares;
  double total = 0;
  const std::vector<std::uint64_t> ticks = engine_->trainer().call_ticks();
  for (std::size_t c = 0; c < ticks.size(); ++c) {
    const Call& call = engine_->train_plan().calls[c];
    const auto spent = static_cast<double>(ticks[c] - profile_start_[c]);
    const std::string op =
        call.op == kNone ? "" : kind_name(engine_->graph().op(call.op).attributes) + " ";
    shares[op + (call.replay ? "replay" : pass_of(call.kind))] += spent;
    total += spent;
  }
  for (auto& [name, share] : shares) share /= std::max(total, 1.0);
  return shares;
}

}  // namespace lockstep
