#include "layers/ops/channel_pad.h"

namespace lockstep {

OpTraits ChannelPad::traits() const {
  return {.kind = "channel_pad",
          .inputs = Arity::kOne,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape ChannelPad::shape(const ShapeSite& site) const {
  const Shape& in = site.src();
  site.require(stride >= 1, "stride must be at least 1");
  site.require(out_channels >= in.channels, "cannot pad " + std::to_string(in.channels) +
                                                " channels to " + std::to_string(out_channels));
  return {out_channels, (in.height + stride - 1) / stride, (in.width + stride - 1) / stride};
}

OpTensors ChannelPad::tensors(const std::string&, const Shape&) const { return {}; }

OpCost ChannelPad::cost(const CostSite& site) const {
  return site.cost(0, 0, site.in + site.out, site.in + site.out);
}

BackwardNeeds ChannelPad::backward_needs(const Shape&) const { return {}; }

bool ChannelPad::fits_blocks(const LayoutSite& site) const { return site.moves_channels(); }

std::string ChannelPad::bf16_obstacle(const StorageSite& site) const {
  return site.unlike_inputs();
}

std::string ChannelPad::evaluation_text() const { return attribute_text({out_channels, stride}); }

}  // namespace lockstep
