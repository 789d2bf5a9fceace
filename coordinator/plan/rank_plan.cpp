#include "coordinator/plan/rank_plan.h"

#include <utility>

#include "coordinator/plan/stage_messages.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"

namespace lockstep {

namespace {

PlanOptions forward_options(const RankOptions& options, bool batch_statistics) {
  PlanOptions forward = options.plan;
  forward.training = false;
  forward.batch_statistics = batch_statistics;
  forward.pipeline = forward_only(std::move(forward.pipeline));
  return forward;
}

std::unique_ptr<Backend> make_backend(const RankPlan& rank) {
  const RankOptions& o = rank.options;
  return std::make_unique<cpu::CpuBackend>(*rank.graph,
                                           cpu::CpuBackendOptions{.layout = o.plan.layout,
                                                                  .activations = o.plan.activations,
                                                                  .optimizer = o.optimizer,
                                                                  .clip_norm = o.clip_norm,
                                                                  .winograd = o.winograd,
                                                                  .owned = rank.owned});
}

Recomputation fit(const RankPlan& rank, const MemoryLimits& limits) {
  return fit_memory(*rank.graph, *rank.backend, rank.options.plan,
                    forward_options(rank.options, false), limits);
}

}  // namespace

RankPlan plan_rank(Graph graph, RankOptions options) {
  RankPlan rank;
  rank.graph = std::make_unique<const Graph>(std::move(graph));
  options.plan.optimizer = optimizer_rule(options.optimizer);
  rank.owned = owned_tensors(*rank.graph, options.plan);
  MemoryQuestion& question = options.memory.question;
  question.workers = options.replicas;
  question.all_reduce = options.all_reduce;
  question.owned = rank.owned;
  question.optimizer = options.plan.optimizer;
  question.loads = options.plan.stage == 0;
  rank.options = std::move(options);
  rank.backend = make_backend(rank);
  rank.recomputation = fit(rank, rank.options.memory);
  PlanOptions training = rank.options.plan;
  training.recompute = rank.recomputation;
  rank.train = make_plan(*rank.graph, *rank.backend, training);
  rank.eval = make_plan(*rank.graph, *rank.backend, forward_options(rank.options, false));
  rank.traffic = step_traffic(rank.train, rank.options.replicas,
                              rank.options.plan.staged() ? 1 : rank.options.micro_batches,
                              rank.options.all_reduce);
  return rank;
}

std::vector<MemoryGroup> memory_of(const RankPlan& rank) {
  return rank_memory(*rank.graph, rank.train, rank.eval, *rank.backend,
                     rank.options.memory.question);
}

Plan plan_estimation(const RankPlan& rank) {
  return make_plan(*rank.graph, *rank.backend, forward_options(rank.options, true));
}

std::string what_would_fit(const RankPlan& rank, std::size_t share_bytes) {
  MemoryLimits limits = rank.options.memory;
  limits.budget_bytes = share_bytes;
  limits.of_machine = limits.must_fit = true;
  try {
    fit(rank, limits);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

}  // namespace lockstep
