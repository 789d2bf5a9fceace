#pragma once
#include <memory>

#include "coordinator/job.h"
#include "coordinator/plan/memory_budget.h"
#include "coordinator/plan/planner.h"
#include "layers/cpu/cpu_backend.h"
#include "worker/executor.h"

namespace lockstep {

/// What an engine is made from.
struct EngineOptions {
  int lanes = 1;
  int max_images = 1;  // of a micro-batch on this rank
  bool sync_bn = true;
  std::size_t bucket_bytes = 4u << 20;
  LayoutKind layout = LayoutKind::kNhwc;
  Storage activations = Storage::kF32;
  bool winograd = true;
  cpu::SgdOptions sgd;
  double clip_norm = 0;
  AllReduceOptions all_reduce;
  MemoryLimits memory;
  // told what the rank will take, before it does; throws to refuse
  std::function<void(const MemoryDemand&)> admit;
  Pipeline pipeline;  // of training; without an order the rank runs the whole model, and the caller
                      // loops over micro-batches. Evaluation runs its forward parts.
  int stage = 0;      // this rank's
};

/// What of them concerns a plan: of training, of evaluation, or of training's forward alone.
PlanOptions plan_options(const EngineOptions& options, bool training, bool batch_statistics);

/// What of them concerns the kernels.
cpu::CpuBackendOptions backend_options(const EngineOptions& options);

/// One rank's model: graph, parameters, and the plans of a training step and of evaluation with their
/// executors, which share one arena.
class Engine {
 public:
  /// `group`: the ranks that share gradients, in a pipeline those with the same stage. `stages`: the
  /// ranks of this replica by stage, only for a pipeline. Both must outlive the engine.
  Engine(Graph graph, const EngineOptions& options, const Communicator& group,
         const Communicator* stages = nullptr);

  const Graph& graph() const { return graph_; }
  ModelState& state() { return state_; }
  const Plan& train_plan() const { return train_plan_; }
  const Plan& eval_plan() const { return eval_plan_; }
  Executor& trainer() { return *trainer_; }
  Executor& evaluator() { return *evaluator_; }
  /// Forward with batch statistics, to estimate running statistics anew.
  Executor& estimator();
  /// Executes `plan`, one of these or a variant, which must outlive it, on this memory and these threads.
  std::unique_ptr<Executor> make_executor(const Plan& plan);
  std::size_t arena_bytes() const { return arena_.bytes(); }
  /// Memory of this rank as rank_memory() counts it beforehand.
  std::size_t planned_bytes();

 private:
  Plan plan(bool training, bool batch_statistics) const;
  std::size_t ask_for_memory();

  Graph graph_;
  EngineOptions options_;
  const Communicator& group_;
  const Communicator* stages_;
  OwnedTensors owned_;
  cpu::CpuBackend backend_;
  Recomputation recomputation_;
  Plan train_plan_, eval_plan_, estimate_plan_;
  std::size_t planned_bytes_;  // 0: not asked for yet. What follows takes memory
  ModelState state_;
  Arena arena_;
  Team team_;
  std::unique_ptr<Executor> trainer_, evaluator_, estimator_;
};

/// How a graph's activations are stored with train.precision = `precision` on this CPU. auto is bf16
/// with AMX, else f32: without AMX our f32 convolutions are as fast (layers/README.md).
/// @throws ConfigError if bf16 is asked for and the CPU or the graph does not allow it.
Storage choose_storage(const std::string& precision, const Graph& graph);

/// Options of a job's engine on one of `workers` ranks with `lanes` threads.
EngineOptions engine_options(const Job& job, const Graph& graph, int workers, int lanes);

}  // namespace lockstep
