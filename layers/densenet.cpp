#include "layers/densenet.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "layers/layer_builder.h"
#include "layers/model_depth.h"
#include "layers/model_keys.h"

namespace lockstep {

namespace {

struct ImagenetDenseNet {
  int depth, growth;
  std::vector<int> counts;
};

const std::vector<ImagenetDenseNet>& imagenet_densenets() {
  static const std::vector<ImagenetDenseNet> nets{{121, 32, {6, 12, 24, 16}},
                                                  {161, 48, {6, 12, 36, 24}},
                                                  {169, 32, {6, 12, 32, 32}},
                                                  {201, 32, {6, 12, 48, 32}},
                                                  {264, 32, {6, 12, 64, 48}}};
  return nets;
}

/// Three blocks of (depth - 4) / 3 layers of one convolution, or half as many of two.
int cifar_layers(int depth, bool bottleneck) {
  const int step = bottleneck ? 6 : 3;
  return depth >= step + 4 && (depth - 4) % step == 0 ? (depth - 4) / step : 0;
}

/// Beyond this a job is a slip of the keyboard.
constexpr std::int64_t kMostChannels = 1 << 20;

class DenseNetBuilder : private LayerBuilder {
 public:
  DenseNetBuilder(Graph& graph, const DenseNet& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    ValueId x = stem();
    for (std::size_t g = 0; g < net_.counts.size(); ++g) {
      const std::string group = "group" + std::to_string(g + 1);
      for (int l = 0; l < net_.counts[g]; ++l) x = layer(group + ".block" + std::to_string(l), x);
      if (g + 1 < net_.counts.size()) x = transition(group + ".transition", x);
    }
    classifier(norm_activation("final", "", x), classes, 0);
  }

 private:
  ValueId stem() {
    const bool large = net_.stem == StemKind::kImagenet;
    const ValueId x =
        conv("stem.conv", graph_.input(), {net_.stem_width, large ? 7 : 3, large ? 2 : 1, 1});
    if (!large) return x;
    return graph_.add("stem.pool", Pool{}, {norm_activation("stem", "", x)});
  }

  ValueId layer(const std::string& name, ValueId x) {
    ValueId y = norm_activation(name, "1", x);
    if (net_.bottleneck) {
      y = dropout(name + ".dropout1", conv(name + ".conv1", y, {4 * net_.growth, 1, 1, 1}));
      y = norm_activation(name, "2", y);
    }
    const std::string last = net_.bottleneck ? "2" : "1";
    y = dropout(name + ".dropout" + last, conv(name + ".conv" + last, y, {net_.growth, 3, 1, 1}));
    return graph_.add(name + ".concat", Concat{}, {x, y});
  }

  ValueId transition(const std::string& name, ValueId x) {
    const double kept =
        static_cast<double>(shape(x).channels) * static_cast<double>(net_.compression);
    const int channels = std::max(1, static_cast<int>(std::floor(kept)));
    x = norm_activation(name, "", x);
    x = dropout(name + ".dropout", conv(name + ".conv", x, {channels, 1, 1, 1}));
    return graph_.add(name + ".pool",
                      Pool{.kind = PoolKind::kAverage, .kernel = 2, .stride = 2, .padding = 0}, {x},
                      "use larger images or a smaller depth");
  }

  ValueId dropout(const std::string& name, ValueId x) {
    return net_.dropout > 0 ? graph_.add(name, Dropout{net_.dropout}, {x}) : x;
  }

  const DenseNet& net_;
};

/// Depths that are both (121 and 169 are 3n+4) are ImageNet's unless images are small or the stem
/// says so.
const ImagenetDenseNet* imagenet_of(const ModelOptions& options, Shape input) {
  const bool wants_cifar =
      options.stem == "cifar" || (options.stem == "auto" && input.height < kSmallImage);
  for (const ImagenetDenseNet& net : imagenet_densenets())
    if (net.depth == options.depth && options.block != "basic" &&
        !(wants_cifar && cifar_layers(net.depth, options.block == "bottleneck") > 0))
      return &net;
  return nullptr;
}

}  // namespace

DenseNet resolve_densenet(const ModelOptions& options, Shape input) {
  refuse_other_keys(options, {"depth", "stem", "stem_width", "block", "growth", "compression"});
  DenseNet net{resolve_layers(options)};
  require_at_least("growth", options.growth, 0);
  if (!(options.compression >= 0 && options.compression <= 1))
    fail_key("compression", digits_of(options.compression), "must be above 0 and at most 1");
  const ImagenetDenseNet* imagenet = imagenet_of(options, input);
  net.stem = resolve_stem(options, input, imagenet == nullptr);
  if (net.stem == StemKind::kResnetD)
    fail_key("stem", options.stem, "family densenet takes auto, cifar, imagenet");
  net.bottleneck =
      imagenet || choose("block", options.block,
                         Choices3<bool>{{{"auto", false}, {"basic", false}, {"bottleneck", true}}});
  net.growth = options.growth > 0 ? options.growth : imagenet ? imagenet->growth : 12;
  net.compression = options.compression > 0 ? options.compression : imagenet ? 0.5f : 1.0f;
  net.dropout = options.dropout;
  const int layers = cifar_layers(options.depth, net.bottleneck);
  if (!imagenet && layers == 0)
    fail_key("depth", std::to_string(options.depth),
             std::string("family densenet takes 3n+4 (40, 100), 6n+4 with block = bottleneck (40, "
                         "100, 190, 250), or 121, 161, 169, 201, 264"));
  net.counts = imagenet ? imagenet->counts : std::vector<int>(3, layers);
  net.stem_width = options.stem_width > 0 ? options.stem_width
                   : net.bottleneck       ? 2 * net.growth
                                          : 16;
  const std::int64_t most = std::accumulate(net.counts.begin(), net.counts.end(), std::int64_t{0});
  if (std::int64_t{net.growth} * most > kMostChannels)
    fail_key("growth", std::to_string(net.growth),
             "the last layers would have more than " + std::to_string(kMostChannels) +
                 " channels; make growth or depth smaller");
  return net;
}

Graph build_densenet(const DenseNet& net, Shape input, int classes) {
  Graph graph(input);
  DenseNetBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
