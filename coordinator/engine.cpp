#include "coordinator/engine.h"

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

/// In shared memory only where our all-reduce uses it: huge pages are for private memory.
SharedMemory gradient_memory(const RankPlan& plan, const Communicator& group) {
  const std::size_t bytes = ModelState::gradient_bytes(*plan.graph, plan.owned);
  if (plan.options.all_reduce.algorithm != AllReduceAlgorithm::kAuto) return SharedMemory(bytes);
  return SharedMemory(group, bytes, "gradients");
}

}  // namespace

Engine::Engine(RankPlan plan, const Communicator& group, const Communicator* stages)
    : plan_(std::move(plan)),
      group_(group),
      stages_(stages),
      state_(*plan_.graph, plan_.options.plan.optimizer, gradient_memory(plan_, group),
             plan_.owned),
      arena_(std::max(plan_.train.arena_bytes, plan_.eval.arena_bytes)),
      team_(plan_.options.plan.lanes),
      trainer_(make_executor(plan_.train)),
      evaluator_(make_executor(plan_.eval)) {}

std::unique_ptr<Executor> Engine::make_executor(const Plan& plan) {
  return std::make_unique<Executor>(plan, *plan_.backend, state_, arena_, group_, team_,
                                    plan_.options.all_reduce, stages_);
}

Executor& Engine::estimator() {
  if (!estimator_) {
    estimate_plan_ = plan_estimation(plan_);
    if (estimate_plan_.arena_bytes > arena_.bytes()) {
      arena_ = Arena(estimate_plan_.arena_bytes);
      trainer_ = make_executor(plan_.train);
      evaluator_ = make_executor(plan_.eval);
    }
    estimator_ = make_executor(estimate_plan_);
  }
  return *estimator_;
}

}  // namespace lockstep
