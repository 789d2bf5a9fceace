#include "layers/ops/pool.h"

namespace lockstep {

OpTraits Pool::traits() const {
  return {.kind = kind == PoolKind::kMax ? "max_pool" : "average_pool",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Pool::shape(const ShapeSite& site) const {
  const Shape& in = site.src();
  site.require(2 * padding <= kernel, "padding must be at most half of the kernel");
  site.require(kernel <= 16,
               "the kernel must be at most 16");  // a position in it is kept in a byte
  return {in.channels, site.windowed(in.height, kernel, stride, padding, ceil_mode),
          site.windowed(in.width, kernel, stride, padding, ceil_mode)};
}

OpTensors Pool::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Pool::cost(const CostSite& site) const {
  const double window = static_cast<double>(kernel) * kernel;
  const double backward = kind == PoolKind::kMax ? site.out : window * site.out;
  return site.cost(window * site.out, backward, site.in + site.out, site.in + site.out);
}

BackwardNeeds Pool::backward_needs(const Shape& dst) const {
  if (kind != PoolKind::kMax) return {};
  return {.workspace_bytes = static_cast<std::size_t>(dst.elements())};
}

bool Pool::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string Pool::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Pool::evaluation_text() const {
  return attribute_text({static_cast<int>(kind), kernel, stride, padding, ceil_mode});
}

}  // namespace lockstep
