#pragma once
#include <memory>

#include "coordinator/plan/rank_plan.h"
#include "worker/executor.h"

namespace lockstep {

/// One rank's model: its plan, parameters, and the executors of a training step and of evaluation, which share one
/// arena. Takes the memory that the plan says, and decides nothing.
class Engine {
 public:
  /// `group`: the ranks that share gradients, in a pipeline those with the same stage. `stages`: the
  /// ranks of this replica by stage, only for a pipeline. Both must outlive the engine.
  Engine(RankPlan plan, const Communicator& group, const Communicator* stages = nullptr);

  const RankPlan& plan() const { return plan_; }
  const Graph& graph() const { return *plan_.graph; }
  ModelState& state() { return state_; }
  const Plan& train_plan() const { return plan_.train; }
  const Plan& eval_plan() const { return plan_.eval; }
  Executor& trainer() { return *trainer_; }
  Executor& evaluator() { return *evaluator_; }
  /// Forward with batch statistics, to estimate running statistics anew.
  Executor& estimator();
  /// Executes `plan`, one of these or a variant, which must outlive it, on this memory and these threads.
  std::unique_ptr<Executor> make_executor(const Plan& plan);
  std::size_t arena_bytes() const { return arena_.bytes(); }

 private:
  const RankPlan plan_;
  const Communicator& group_;
  const Communicator* stages_;
  ModelState state_;
  Arena arena_;
  Team team_;
  Plan estimate_plan_;
  std::unique_ptr<Executor> trainer_, evaluator_, estimator_;
};

}  // namespace lockstep
