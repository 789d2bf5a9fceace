#include "layers/evaluation_text.h"

#include <initializer_list>
#include <numeric>
#include <variant>
#include <vector>

#include "layers/model_keys.h"

namespace lockstep {

namespace {

std::string numbers(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += " " + std::to_string(value);
  return text;
}

struct AttributesText {
  std::string operator()(const Conv2d& o) const {
    return numbers({o.out_channels, o.kernel, o.stride, o.padding, o.groups, o.bias});
  }
  std::string operator()(const ConvTranspose2d& o) const {
    return numbers({o.out_channels, o.kernel, o.stride, o.padding});
  }
  std::string operator()(const BatchNorm& o) const { return " " + digits_of(o.eps); }
  std::string operator()(const GroupNorm& o) const {
    return numbers({o.groups}) + " " + digits_of(o.eps);
  }
  std::string operator()(const LayerNorm& o) const { return " " + digits_of(o.eps); }
  std::string operator()(const Activation& o) const {
    return numbers({static_cast<int>(o.kind)}) + " " + digits_of(o.alpha);
  }
  std::string operator()(const Attention& o) const { return numbers({o.heads}); }
  std::string operator()(const ChannelPad& o) const { return numbers({o.out_channels, o.stride}); }
  std::string operator()(const Pool& o) const {
    return numbers({static_cast<int>(o.kind), o.kernel, o.stride, o.padding, o.ceil_mode});
  }
  std::string operator()(const Upsample& o) const { return numbers({o.factor}); }
  std::string operator()(const Linear& o) const { return numbers({o.out_features, o.bias}); }
  std::string operator()(const BranchGate& o) const { return " " + digits_of(o.keep); }
  std::string operator()(const Scale& o) const { return " " + digits_of(o.alpha); }

  // Nothing that evaluation depends on.
  std::string operator()(const LayerScale&) const { return ""; }
  std::string operator()(const PositionEmbedding&) const { return ""; }
  std::string operator()(const Add&) const { return ""; }
  std::string operator()(const Lerp&) const { return ""; }
  std::string operator()(const Concat&) const { return ""; }
  std::string operator()(const Flatten&) const { return ""; }
  std::string operator()(const GlobalAveragePool&) const { return ""; }
  std::string operator()(const Dropout&) const { return ""; }
  std::string operator()(const StochasticDepth&) const { return ""; }
  std::string operator()(const ChannelScale&) const { return ""; }
  std::string operator()(const SoftmaxCrossEntropy&) const { return ""; }
  std::string operator()(const PixelCrossEntropy&) const { return ""; }
};

bool passes_on(const Op& op) {
  return std::holds_alternative<Dropout>(op.attributes) ||
         std::holds_alternative<StochasticDepth>(op.attributes);
}

}  // namespace

std::string evaluation_text(const Graph& graph) {
  // of each value: itself, or what it is in evaluation
  std::vector<ValueId> source(graph.values().size());
  std::iota(source.begin(), source.end(), 0);
  std::string text;
  for (const Op& op : graph.ops()) {
    if (passes_on(op)) {
      source[static_cast<std::size_t>(op.output)] =
          source[static_cast<std::size_t>(op.inputs.front())];
      continue;
    }
    text += op.name + " " + kind_name(op.attributes) + std::visit(AttributesText{}, op.attributes) +
            " of";
    for (const ValueId input : op.inputs) {
      const ValueId from = source[static_cast<std::size_t>(input)];
      const OpId producer = graph.value(from).producer;
      text += " " + (producer == kNone ? std::string("input") : graph.op(producer).name);
    }
    text += "\n";
  }
  return text;
}

}  // namespace lockstep
