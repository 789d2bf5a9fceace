#include "layers/ops/global_average_pool.h"

namespace lockstep {

OpTraits GlobalAveragePool::traits() const {
  return {.kind = "global_average_pool",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kF32,
          .calls = Calls::kUsual};
}

Shape GlobalAveragePool::shape(const ShapeSite& site) const { return {site.src().channels, 1, 1}; }

OpTensors GlobalAveragePool::tensors(const std::string&, const Shape&) const { return {}; }

OpCost GlobalAveragePool::cost(const CostSite& site) const {
  return site.cost(site.in + site.out, site.out, site.in + site.out, site.in + site.out);
}

BackwardNeeds GlobalAveragePool::backward_needs(const Shape&) const { return {}; }

bool GlobalAveragePool::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string GlobalAveragePool::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string GlobalAveragePool::evaluation_text() const { return ""; }

}  // namespace lockstep
