#include "layers/ops/attention.h"

namespace lockstep {

OpTraits Attention::traits() const {
  return {.kind = "attention",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape Attention::shape(const ShapeSite& site) const {
  const Shape& in = site.src();
  site.require(in.channels % 3 == 0, "needs queries, keys and values, got " + to_string(in));
  site.require(heads >= 1 && in.channels / 3 % heads == 0,
               "heads = " + std::to_string(heads) + " does not divide " +
                   std::to_string(in.channels / 3) + " features");
  return {in.channels / 3, in.height, in.width};
}

OpTensors Attention::tensors(const std::string&, const Shape&) const { return {}; }

OpCost Attention::cost(const CostSite& site) const {
  // Two products forward and four backward, and what lies between them: the softmax.
  const double pixels = site.src.pixels(), scores = heads * pixels * pixels;
  return site.cost(4 * pixels * site.out + 6 * scores, 8 * pixels * site.out + 4 * scores,
                   site.in + site.out + 2 * scores, 2 * site.in + site.out + 3 * scores);
}

BackwardNeeds Attention::backward_needs(const Shape& dst) const {
  const auto pixels = static_cast<std::size_t>(dst.pixels());
  return {.src = true,
          .workspace_bytes = static_cast<std::size_t>(heads) * pixels * pixels * sizeof(float)};
}

bool Attention::fits_blocks(const LayoutSite&) const {
  // Wants a pixel's channels side by side.
  return false;
}

std::string Attention::bf16_obstacle(const StorageSite& site) const { return site.unlike_inputs(); }

std::string Attention::evaluation_text() const { return attribute_text({heads}); }

}  // namespace lockstep
