#include "layers/convnext.h"

#include <string>

#include "layers/layer_builder.h"
#include "layers/model_depth.h"
#include "layers/model_keys.h"

namespace lockstep {

namespace {

class ConvNeXtBuilder : private LayerBuilder {
 public:
  ConvNeXtBuilder(Graph& graph, const ConvNeXt& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    ValueId x = patches("stem.conv", graph_.input(), net_.groups[0].width, net_.patch);
    x = pixel_norm("stem.norm", x);
    int index = 0;
    for (std::size_t g = 0; g < net_.groups.size(); ++g) {
      const std::string group = "group" + std::to_string(g + 1);
      if (g > 0) {
        x = pixel_norm(group + ".downsample.norm", x);
        x = patches(group + ".downsample.conv", x, net_.groups[g].width, 2);
      }
      for (int b = 0; b < net_.groups[g].blocks; ++b)
        x = block(group + ".block" + std::to_string(b), x, index++);
    }
    x = pixel_norm("norm", graph_.add("pool", GlobalAveragePool{}, {x}));
    vector_classifier(x, classes, net_.dropout);
  }

 private:
  ValueId block(const std::string& name, ValueId x, int index) {
    const int width = shape(x).channels;
    const Conv2d depthwise{
        .out_channels = width, .kernel = 7, .padding = 3, .groups = width, .bias = true};
    ValueId y = pixel_norm(name + ".norm", graph_.add(name + ".conv1", depthwise, {x}));
    y = pointwise(name + ".conv2", y, net_.ratio * width);
    y = pointwise(name + ".conv3", activation(name + ".gelu", y), width);
    y = graph_.add(name + ".layer_scale", LayerScale{net_.layer_scale}, {y});
    y = end_branch(name, y, index, total_blocks(net_.groups));
    return graph_.add(name + ".add", Add{}, {y, x});
  }

  const ConvNeXt& net_;
};

}  // namespace

ConvNeXt resolve_convnext(const ModelOptions& options, Shape input) {
  refuse_other_keys(options, {"counts", "widths", "patch", "mlp_ratio", "layer_scale",
                              "stochastic_depth", "conditional_skip"});
  ConvNeXt net{resolve_pixel_layers(options)};
  net.groups = resolve_groups(options, {3, 3, 9, 3}, {96, 192, 384, 768});
  net.patch = options.patch > 0 ? options.patch : input.height < kSmallImage ? 2 : 4;
  net.ratio = resolve_mlp_ratio(options, 4);
  net.layer_scale = options.layer_scale;
  net.dropout = options.dropout;
  return net;
}

Graph build_convnext(const ConvNeXt& net, Shape input, int classes) {
  Graph graph(input);
  ConvNeXtBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
