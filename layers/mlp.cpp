#include "layers/mlp.h"

#include <string>

#include "layers/layer_builder.h"

namespace lockstep {

namespace {

class MlpBuilder : private LayerBuilder {
 public:
  MlpBuilder(Graph& graph, const Mlp& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    ValueId x = graph_.add("stem.flatten", Flatten{}, {graph_.input()});
    x = linear("stem.fc", x, net_.groups[0].width);
    int index = 0;
    for (std::size_t g = 0; g < net_.groups.size(); ++g) {
      const std::string group = "group" + std::to_string(g + 1);
      if (g > 0) x = linear(group + ".transition.fc", x, net_.groups[g].width);
      for (int b = 0; b < net_.groups[g].blocks; ++b)
        x = block(group + ".block" + std::to_string(b), x, index++);
    }
    vector_classifier(norm_activation("final", "", x), classes, 0);
  }

 private:
  /// Sooner or later a norm reads all that it makes: a batch norm takes a bias away again.
  ValueId linear(const std::string& name, ValueId x, int features) {
    return graph_.add(name, Linear{features, layers_.norm != NormKind::kBatch}, {x});
  }

  ValueId block(const std::string& name, ValueId x, int index) {
    const int width = shape(x).channels;
    ValueId y = linear(name + ".fc1", norm_activation(name, "1", x), net_.ratio * width);
    y = norm_activation(name, "2", y);
    if (net_.dropout > 0) y = graph_.add(name + ".dropout", Dropout{net_.dropout}, {y});
    y = linear(name + ".fc2", y, width);
    y = end_branch(name, y, index, total_blocks(net_.groups));
    return graph_.add(name + ".add", Add{}, {y, x});
  }

  const Mlp& net_;
};

}  // namespace

Mlp resolve_mlp(const ModelOptions& options) {
  refuse_other_keys(options,
                    {"counts", "widths", "mlp_ratio", "stochastic_depth", "conditional_skip"});
  Mlp net{resolve_layers(options)};
  net.groups = resolve_groups(options, {8}, {256});
  net.ratio = resolve_mlp_ratio(options, 1);
  net.dropout = options.dropout;
  return net;
}

Graph build_mlp(const Mlp& net, Shape input, int classes) {
  Graph graph(input);
  MlpBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
