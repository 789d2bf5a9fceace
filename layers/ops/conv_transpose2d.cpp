#include "layers/ops/conv_transpose2d.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lockstep {

OpTraits ConvTranspose2d::traits() const {
  return {.kind = "conv_transpose2d",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kPacked,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape ConvTranspose2d::shape(const ShapeSite& site) const {
  const Shape& in = site.src();
  site.require(out_channels >= 1, "out_channels must be at least 1");
  site.require(kernel >= 1 && stride >= 1 && padding >= 0,
               "kernel and stride must be at least 1 and padding at least 0");
  const auto enlarged = [&](int size) { return (size - 1) * stride - 2 * padding + kernel; };
  site.require(enlarged(in.height) >= 1 && enlarged(in.width) >= 1,
               "nothing is left of input " + to_string(in) + " after padding " +
                   std::to_string(padding) + "; use a smaller padding");
  return {out_channels, enlarged(in.height), enlarged(in.width)};
}

OpTensors ConvTranspose2d::tensors(const std::string& name, const Shape& src) const {
  const int channels = src.channels;
  Parameter weight =
      weight_parameter(name, {channels, out_channels, kernel, kernel}, Init::kNormal);
  // Keeps the variance: an output sums so many products.
  const double products = std::max(1.0, static_cast<double>(kernel) / stride);
  weight.constant = static_cast<float>(1.0 / std::sqrt(channels * products * products));
  return {{std::move(weight)}};
}

OpCost ConvTranspose2d::cost(const CostSite& site) const {
  // Every element of the input is multiplied with a kernel for every output channel.
  return site.product(site.in * out_channels * kernel * kernel, 0);
}

BackwardNeeds ConvTranspose2d::backward_needs(const Shape&) const { return {.src = true}; }

bool ConvTranspose2d::fits_blocks(const LayoutSite& site) const { return site.moves_channels(); }

std::string ConvTranspose2d::bf16_obstacle(const StorageSite&) const {
  return "transposed convolutions are computed in f32 only";
}

std::string ConvTranspose2d::evaluation_text() const {
  return attribute_text({out_channels, kernel, stride, padding});
}

}  // namespace lockstep
