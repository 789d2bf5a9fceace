#include "layers/transformer.h"

#include <algorithm>
#include <string>

#include "layers/layer_builder.h"

namespace lockstep {

namespace {

class TransformerBuilder : private LayerBuilder {
 public:
  TransformerBuilder(Graph& graph, const Transformer& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    ValueId x = patches("stem.patches", graph_.input(), net_.blocks.width, net_.patch);
    x = graph_.add("stem.position", PositionEmbedding{}, {x});
    for (int b = 0; b < net_.blocks.blocks; ++b)
      x = block("group1.block" + std::to_string(b), x, b);
    if (net_.pre_norm) x = pixel_norm("final.norm", x);
    classifier(x, classes, 0);
  }

 private:
  ValueId block(const std::string& name, ValueId x, int index) {
    x = residual(name, "1", x, index, [&](ValueId y) {
      y = pointwise(name + ".qkv", y, 3 * net_.blocks.width);
      y = graph_.add(name + ".attention", Attention{net_.heads}, {y},
                     "change model.heads or widths");
      return pointwise(name + ".proj", y, net_.blocks.width);
    });
    return residual(name, "2", x, index, [&](ValueId y) {
      y = pointwise(name + ".fc1", y, net_.ratio * net_.blocks.width);
      return pointwise(name + ".fc2", activation(name + ".gelu", y), net_.blocks.width);
    });
  }

  /// x + branch(norm(x)), or norm(x + branch(x)).
  template <class Branch>
  ValueId residual(const std::string& name, const std::string& number, ValueId x, int index,
                   Branch branch) {
    const std::string norm = name + ".norm" + number;
    ValueId y = branch(net_.pre_norm ? pixel_norm(norm, x) : x);
    if (net_.dropout > 0) y = graph_.add(name + ".dropout" + number, Dropout{net_.dropout}, {y});
    y = end_branch(name + ".branch" + number, y, index, net_.blocks.blocks);
    y = graph_.add(name + ".add" + number, Add{}, {y, x});
    return net_.pre_norm ? y : pixel_norm(norm, y);
  }

  const Transformer& net_;
};

}  // namespace

Transformer resolve_transformer(const ModelOptions& options) {
  refuse_other_keys(options, {"counts", "widths", "patch", "mlp_ratio", "heads", "pre_norm",
                              "stochastic_depth", "conditional_skip"});
  Transformer net{resolve_pixel_layers(options)};
  const std::vector<BlockCount> groups = resolve_groups(options, {6}, {192});
  if (groups.size() != 1)
    fail_key(
        "widths", std::to_string(groups.size()) + " entries",
        "family transformer has one width and one count of blocks, e.g. counts = 6, widths = 192");
  net.blocks = groups[0];
  net.patch = options.patch > 0 ? options.patch : 4;
  require_at_least("heads", options.heads, 0);
  net.heads = options.heads > 0 ? options.heads : std::max(1, net.blocks.width / 32);
  if (net.blocks.width % net.heads != 0)
    fail_key(
        "heads", std::to_string(net.heads),
        "does not divide the " + std::to_string(net.blocks.width) + " features of model.widths");
  net.ratio = resolve_mlp_ratio(options, 4);
  net.pre_norm = options.pre_norm;
  net.dropout = options.dropout;
  return net;
}

Graph build_transformer(const Transformer& net, Shape input, int classes) {
  Graph graph(input);
  TransformerBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
