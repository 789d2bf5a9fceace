#include "coordinator/plan/rank_options.h"

#include "coordinator/plan/batches.h"
#include "data/error.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"

namespace lockstep {

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

Optimizer make_optimizer(const OptimizerOptions& o) {
  switch (o.name) {
    case OptimizerKind::kSgd:
      return Sgd{.momentum = static_cast<float>(o.momentum),
                 .weight_decay = static_cast<float>(o.weight_decay),
                 .nesterov = o.nesterov};
    case OptimizerKind::kAdamW:
      return AdamW{
          .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay};
  }
  throw InternalError("an optimizer without a kind");
}

RankOptions rank_options(const Job& job, const Graph& graph, int replicas, int lanes) {
  RankOptions o;
  o.micro_batches = job.train.micro_batches;
  o.replicas = replicas;
  o.plan.lanes = lanes;
  o.plan.max_images = largest_micro_batch(job.train.batch, replicas, job.train.micro_batches);
  o.plan.sync_bn = job.train.sync_bn;
  o.plan.bucket_bytes = static_cast<std::size_t>(job.parallel.bucket_kib) << 10;
  o.plan.activations = choose_storage(job.train.precision, graph);
  o.plan.layout =
      o.plan.activations == Storage::kBf16 ? LayoutKind::kNhwc : cpu::best_layout(graph);
  o.winograd = job.train.winograd;
  o.optimizer = make_optimizer(job.optimizer);
  o.clip_norm = job.optimizer.clip_norm;
  if (job.parallel.all_reduce == "ring") o.all_reduce.algorithm = AllReduceAlgorithm::kRing;
  if (job.parallel.all_reduce == "mpi") o.all_reduce.algorithm = AllReduceAlgorithm::kMpi;
  if (job.parallel.wire == "bf16") o.all_reduce.wire = Wire::kBf16;
  o.memory.recompute = parse_recompute(job.memory.recompute);
  o.memory.budget_bytes = static_cast<std::size_t>(job.memory.budget_mib) << 20;
  o.memory.question.prefetch = job.data.prefetch;
  o.memory.question.validates = job.train.validate_every > 0;
  return o;
}

}  // namespace lockstep
