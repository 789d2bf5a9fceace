#include "layers/ops/channel_scale.h"

namespace lockstep {

OpTraits ChannelScale::traits() const {
  return {.kind = "channel_scale",
          .inputs = Arity::kTwo,
          .labels = Labels::kNone,
          .weights = Weights::kNone,
          .norm = Norm{},
          .fusing = Fusing::kAlone,
          .draw = Draw{},
          .stored = Stored::kAsSource,
          .calls = Calls::kUsual};
}

Shape ChannelScale::shape(const ShapeSite& site) const {
  const Shape& gate = site.inputs[1];
  site.require(gate == Shape{site.src().channels, 1, 1} || gate == Shape{1, 1, 1},
               "gate " + to_string(site.inputs[1]) + " does not fit " + to_string(site.inputs[0]));
  return site.src();
}

OpTensors ChannelScale::tensors(const std::string&, const Shape&) const { return {}; }

OpCost ChannelScale::cost(const CostSite& site) const {
  // Backward: dx = dy * gate, and dgate = sum of dy * x. A gate for all channels is counted as one of each.
  const double gate = site.src.channels;
  return site.cost(site.out, 3 * site.out, 2 * site.out + gate, 4 * site.out + 2 * gate);
}

BackwardNeeds ChannelScale::backward_needs(const Shape&) const { return {.src = true}; }

bool ChannelScale::fits_blocks(const LayoutSite& site) const { return site.keeps_channels(); }

std::string ChannelScale::bf16_obstacle(const StorageSite& site) const {
  if (site.any_reads_images) return site.of_images();
  if (site.bf16[0] && !site.bf16[1]) return "";
  return "its gate must follow a global average, and its input must not";
}

std::string ChannelScale::evaluation_text() const { return ""; }

}  // namespace lockstep
