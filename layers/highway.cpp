#include "layers/highway.h"

#include <string>

#include "layers/layer_builder.h"

namespace lockstep {

namespace {

class HighwayBuilder : private LayerBuilder {
 public:
  HighwayBuilder(Graph& graph, const Highway& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    ValueId x = plain_layer("stem", graph_.input(), net_.groups[0].width, 1);
    for (std::size_t g = 0; g < net_.groups.size(); ++g) {
      const std::string group = "group" + std::to_string(g + 1);
      if (g > 0) x = plain_layer(group + ".down", x, net_.groups[g].width, 2);
      for (int b = 0; b < net_.groups[g].blocks; ++b)
        x = block(group + ".block" + std::to_string(b), x);
    }
    classifier(x, classes, net_.dropout);
  }

 private:
  ValueId plain_layer(const std::string& name, ValueId x, int channels, int stride) {
    return norm_activation(name, "", conv(name + ".conv", x, {channels, 3, stride, 1}));
  }

  ValueId block(const std::string& name, ValueId x) {
    const int channels = shape(x).channels;
    const ValueId transformed = plain_layer(name, x, channels, 1);
    ValueId gate = graph_.add(
        name + ".gate.conv",
        Conv2d{.out_channels = channels, .bias = true, .bias_init = net_.gate_bias}, {x});
    gate = graph_.add(name + ".gate.sigmoid", Activation{.kind = ActivationKind::kSigmoid}, {gate});
    return graph_.add(name + ".lerp", Lerp{}, {x, transformed, gate});
  }

  const Highway& net_;
};

}  // namespace

Highway resolve_highway(const ModelOptions& options) {
  refuse_other_keys(options, {"counts", "widths", "gate_bias"});
  Highway net{resolve_layers(options)};
  net.groups = resolve_groups(options, {3, 3, 3}, {16, 32, 64});
  if (!(options.gate_bias >= -20 && options.gate_bias <= 20))
    fail_key("gate_bias", digits_of(options.gate_bias), "must be from -20 to 20; usual -1 to -3");
  net.gate_bias = options.gate_bias;
  net.dropout = options.dropout;
  return net;
}

Graph build_highway(const Highway& net, Shape input, int classes) {
  Graph graph(input);
  HighwayBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
