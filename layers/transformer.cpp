#include "layers/transformer.h"

#include <algorithm>
#include <string>

#include "layers/blocks.h"
#include "layers/layer_builder.h"

namespace lockstep {

namespace {

class TransformerBuilder : private LayerBuilder {
 public:
  TransformerBuilder(Graph& graph, const Transformer& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    const std::string first = net_.resnet ? "embed" : "stem";
    ValueId x = patches(first + ".patches", images(), net_.blocks.width, net_.patch);
    x = graph_.add(first + ".position", PositionEmbedding{}, {x});
    for (int b = 0; b < net_.blocks.blocks; ++b)
      x = block("group1.block" + std::to_string(b), x, b);
    if (net_.pre_norm) x = pixel_norm("final.norm", x);
    classifier(x, classes, 0);
  }

 private:
  ValueId images() {
    if (!net_.resnet) return graph_.input();
    BlockBuilder build(graph_, *net_.resnet);
    return build.groups("resnet", build.stem(graph_.input()));
  }

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

/// Every group twice as wide as the one before.
Architecture resolve_resnet(const ModelOptions& options, Shape input) {
  constexpr int kMostGroups = 8, kMostWidth = 1 << 16;
  if (options.hybrid.size() > kMostGroups)
    fail_key("hybrid", std::to_string(options.hybrid.size()) + " entries",
             "takes at most 8 groups, e.g. 3,4,6");
  ModelOptions r;
  r.family = "custom";
  r.counts = options.hybrid;
  r.stem = options.stem;
  r.block = options.block;
  r.shortcut = options.shortcut;
  r.se_reduction = options.se_reduction;
  r.last_gamma = options.last_gamma;
  r.norm_momentum = options.norm_momentum;
  r.norm_eps = options.norm_eps;
  r.activation = options.activation;
  r.activation_alpha = options.activation_alpha;
  const bool small = resolve_stem(options, input, false) == StemKind::kCifar;
  const int width = options.stem_width > 0 ? options.stem_width : small ? 16 : 64;
  if (width > kMostWidth)
    fail_key("stem_width", std::to_string(width), "must be at most 65536 with model.hybrid");
  for (std::size_t g = 0; g < r.counts.size(); ++g) {
    require_at_least("hybrid", r.counts[g], 1);
    r.widths.push_back(width << g);
  }
  return resolve_architecture(r, input);
}

}  // namespace

Transformer resolve_transformer(const ModelOptions& options, Shape input) {
  const bool hybrid = !options.hybrid.empty();
  std::vector<std::string_view> own{"counts",           "widths",          "patch",
                                    "mlp_ratio",        "heads",           "pre_norm",
                                    "stochastic_depth", "conditional_skip"};
  if (hybrid)
    own.insert(own.end(),
               {"hybrid", "stem", "stem_width", "block", "shortcut", "se_reduction", "last_gamma"});
  refuse_other_keys(options, own);
  Transformer net{resolve_pixel_layers(options)};
  if (hybrid) net.resnet = resolve_resnet(options, input);
  const std::vector<BlockCount> groups = resolve_groups(options, {6}, {192});
  if (groups.size() != 1)
    fail_key(
        "widths", std::to_string(groups.size()) + " entries",
        "family transformer has one width and one count of blocks, e.g. counts = 6, widths = 192");
  net.blocks = groups[0];
  net.patch = options.patch > 0 ? options.patch : hybrid ? 1 : 4;
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
