#include "coordinator/engine.h"

#include <algorithm>
#include <utility>

#include "coordinator/batches.h"
#include "coordinator/stages/stage_messages.h"
#include "data/error.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"

namespace lockstep {

cpu::CpuBackendOptions backend_options(const EngineOptions& options) {
  return {.layout = options.layout,
          .activations = options.activations,
          .sgd = options.sgd,
          .clip_norm = options.clip_norm,
          .winograd = options.winograd};
}

namespace {

/// In shared memory only where our all-reduce uses it: huge pages are for private memory.
SharedMemory gradient_memory(const Graph& graph, const OwnedTensors& owned,
                             const EngineOptions& options, const Communicator& group) {
  const std::size_t bytes = ModelState::gradient_bytes(graph, owned);
  if (options.all_reduce.algorithm != AllReduceAlgorithm::kAuto) return SharedMemory(bytes);
  return SharedMemory(group, bytes, "gradients");
}

cpu::CpuBackendOptions backend_options(const EngineOptions& options, const OwnedTensors& owned) {
  cpu::CpuBackendOptions backend = backend_options(options);
  backend.owned = owned;
  return backend;
}

MemoryLimits memory_limits(const EngineOptions& options, const OwnedTensors& owned) {
  MemoryLimits limits = options.memory;
  limits.question.owned = owned;
  limits.question.loads = options.stage == 0;
  return limits;
}

}  // namespace

PlanOptions plan_options(const EngineOptions& options, bool training, bool batch_statistics) {
  return {.training = training,
          .batch_statistics = batch_statistics,
          .sync_bn = options.sync_bn,
          .lanes = options.lanes,
          .max_images = options.max_images,
          .layout = options.layout,
          .activations = options.activations,
          .bucket_bytes = options.bucket_bytes,
          .recompute = {},
          .pipeline = training ? options.pipeline : forward_only(options.pipeline),
          .stage = options.stage};
}

Engine::Engine(Graph graph, const EngineOptions& options, const Communicator& group,
               const Communicator* stages)
    : graph_(std::move(graph)),
      options_(options),
      group_(group),
      stages_(stages),
      owned_(owned_tensors(graph_, plan_options(options, true, true))),
      backend_(graph_, backend_options(options, owned_)),
      recomputation_(fit_memory(graph_, backend_, plan_options(options, true, true),
                                plan_options(options, false, false),
                                memory_limits(options, owned_))),
      train_plan_(plan(true, true)),
      eval_plan_(plan(false, false)),
      planned_bytes_(ask_for_memory()),
      state_(graph_, gradient_memory(graph_, owned_, options, group), owned_),
      arena_(std::max(train_plan_.arena_bytes, eval_plan_.arena_bytes)),
      team_(options.lanes),
      trainer_(make_executor(train_plan_)),
      evaluator_(make_executor(eval_plan_)) {}

std::size_t Engine::ask_for_memory() {
  planned_bytes_ = 0;
  if (!options_.admit) return 0;
  const auto what_would_fit = [this](std::size_t share_bytes) -> std::string {
    MemoryLimits limits = memory_limits(options_, owned_);
    limits.budget_bytes = share_bytes;
    limits.of_machine = limits.must_fit = true;
    try {
      fit_memory(graph_, backend_, plan_options(options_, true, true),
                 plan_options(options_, false, false), limits);
      return "";
    } catch (const ConfigError& error) {
      return error.what();
    }
  };
  std::exchange(options_.admit,
                nullptr)({.bytes = planned_bytes(), .what_would_fit = what_would_fit});
  return planned_bytes_;
}

std::unique_ptr<Executor> Engine::make_executor(const Plan& plan) {
  return std::make_unique<Executor>(plan, backend_, state_, arena_, group_, team_,
                                    options_.all_reduce, stages_);
}

Plan Engine::plan(bool training, bool batch_statistics) const {
  PlanOptions options = plan_options(options_, training, batch_statistics);
  if (training) options.recompute = recomputation_;
  return make_plan(graph_, backend_, options);
}

Executor& Engine::estimator() {
  if (!estimator_) {
    estimate_plan_ = plan(false, true);
    if (estimate_plan_.arena_bytes > arena_.bytes()) {
      arena_ = Arena(estimate_plan_.arena_bytes);
      trainer_ = make_executor(train_plan_);
      evaluator_ = make_executor(eval_plan_);
    }
    estimator_ = make_executor(estimate_plan_);
  }
  return *estimator_;
}

std::size_t Engine::planned_bytes() {
  if (planned_bytes_ == 0)
    planned_bytes_ = total_bytes(rank_memory(graph_, train_plan_, eval_plan_, backend_,
                                             memory_limits(options_, owned_).question));
  return planned_bytes_;
}

Storage choose_storage(const std::string& precision, const Graph& graph) {
  if (precision == "f32") return Storage::kF32;
  std::string obstacle = bf16_obstacle(graph);
  const cpu::Bf16Support support = cpu::bf16_support();
  if (support == cpu::Bf16Support::kEmulated)
    obstacle =
        "this CPU computes bfloat16 by emulation only, slower than f32 (it needs AVX-512 with "
        "avx512_bf16, or AMX; in use on all ranks: " +
        cpu::instruction_set_name(cpu::instruction_set_in_use()) + ")";
  else if (obstacle.empty() && !cpu::has_kernels(graph, LayoutKind::kNhwc, Storage::kBf16))
    obstacle = "oneDNN has no sound bfloat16 kernels for some of the model's convolutions";
  if (precision == "auto")
    return obstacle.empty() && support == cpu::Bf16Support::kTiles ? Storage::kBf16 : Storage::kF32;
  if (!obstacle.empty())
    throw ConfigError("train.precision = bf16: " + obstacle + "; use f32, or auto");
  return Storage::kBf16;
}

EngineOptions engine_options(const Job& job, const Graph& graph, int workers, int lanes) {
  EngineOptions o;
  o.lanes = lanes;
  o.max_images = largest_micro_batch(job.train.batch, workers, job.train.micro_batches);
  o.sync_bn = job.train.sync_bn;
  o.bucket_bytes = static_cast<std::size_t>(job.parallel.bucket_kib) << 10;
  o.activations = choose_storage(job.train.precision, graph);
  o.layout = o.activations == Storage::kBf16 ? LayoutKind::kNhwc : cpu::best_layout(graph);
  o.winograd = job.train.winograd;
  o.sgd = {.momentum = static_cast<float>(job.optimizer.momentum),
           .weight_decay = static_cast<float>(job.optimizer.weight_decay),
           .nesterov = job.optimizer.nesterov};
  o.clip_norm = job.optimizer.clip_norm;
  if (job.parallel.all_reduce == "ring") o.all_reduce.algorithm = AllReduceAlgorithm::kRing;
  if (job.parallel.all_reduce == "mpi") o.all_reduce.algorithm = AllReduceAlgorithm::kMpi;
  if (job.parallel.wire == "bf16") o.all_reduce.wire = Wire::kBf16;
  o.memory.recompute = parse_recompute(job.memory.recompute);
  o.memory.budget_bytes = static_cast<std::size_t>(job.memory.budget_mib) << 20;
  o.memory.question = {.workers = workers,
                       .all_reduce = o.all_reduce,
                       .prefetch = job.data.prefetch,
                       .validates = job.train.validate_every > 0};
  return o;
}

}  // namespace lockstep
