#include "layers/ops/conv2d.h"

namespace lockstep {

OpTraits Conv2d::traits() const {
  return {.kind = "conv2d",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kPacked,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsConvolution,
          .calls = Calls::kUsual};
}

Shape Conv2d::shape(const ShapeSite& site) const {
  const Shape& in = site.src();
  site.require(out_channels >= 1, "out_channels must be at least 1");
  site.require(groups >= 1 && in.channels % groups == 0 && out_channels % groups == 0,
               "groups = " + std::to_string(groups) + " does not divide the channels " +
                   std::to_string(in.channels) + " -> " + std::to_string(out_channels));
  return {out_channels, site.windowed(in.height, kernel, stride, padding),
          site.windowed(in.width, kernel, stride, padding)};
}

OpTensors Conv2d::tensors(const std::string& name, const Shape& src) const {
  OpTensors own{{weight_parameter(name, {out_channels, src.channels / groups, kernel, kernel},
                                  // With a bias no norm follows: a classifier, a gate.
                                  bias ? Init::kLinearUniform : Init::kHeNormal)}};
  if (bias) own.parameters.push_back(vector_parameter(name + ".bias", out_channels, bias_init));
  return own;
}

OpCost Conv2d::cost(const CostSite& site) const {
  const double per_output = static_cast<double>(site.src.channels) / groups * kernel * kernel;
  return site.product(site.out * per_output, bias ? site.out : 0);
}

BackwardNeeds Conv2d::backward_needs(const Shape&) const { return {.src = true}; }

bool Conv2d::fits_blocks(const LayoutSite& site) const {
  if (!site.whole(out_channels / groups)) return false;
  // The first convolution reads planar images; oneDNN has kernels for few channels only.
  if (site.reads_images) return site.block == 16 ? site.src.channels <= 3 : site.src.channels == 3;
  return site.whole(site.src.channels / groups);
}

std::string Conv2d::bf16_obstacle(const StorageSite& site) const {
  if (site.reads_images || site.bf16[0]) return "";
  return "a convolution reads what a global average or a linear layer made";
}

std::string Conv2d::evaluation_text() const {
  return attribute_text({out_channels, kernel, stride, padding, groups, bias});
}

}  // namespace lockstep
