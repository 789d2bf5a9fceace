#include "layers/unet.h"

#include "layers/layer_builder.h"
#include "layers/model_keys.h"

namespace lockstep {

namespace {

class UNetBuilder : private LayerBuilder {
 public:
  UNetBuilder(Graph& graph, const UNet& net) : LayerBuilder(graph, net), net_(net) {}

  void build(int classes) {
    const int levels = static_cast<int>(net_.widths.size());
    std::vector<ValueId> skips;
    ValueId x = graph_.input();
    for (int level = 1; level <= levels; ++level) {
      const std::string name = "encoder" + std::to_string(level);
      x = two_convolutions(name, x, width(level));
      if (level == levels) break;
      skips.push_back(x);
      x = graph_.add(name + ".pool", Pool{.kernel = 2, .stride = 2, .padding = 0}, {x},
                     size_hint());
    }
    if (net_.dropout > 0) x = graph_.add("dropout", Dropout{net_.dropout}, {x});
    for (int level = levels - 1; level >= 1; --level) {
      const std::string name = "decoder" + std::to_string(level);
      x = join(name, skips[static_cast<std::size_t>(level) - 1], up(name, x, width(level)));
      x = two_convolutions(name, x, width(level));
    }
    x = graph_.add("fc", Conv2d{.out_channels = classes, .kernel = 1, .padding = 0, .bias = true},
                   {x});
    graph_.add("loss", PixelCrossEntropy{layers_.label_smoothing}, {x});
  }

 private:
  int width(int level) const { return net_.widths[static_cast<std::size_t>(level) - 1]; }

  std::string size_hint() const {
    const int multiple = 1 << (net_.widths.size() - 1);
    return "make data.height and data.width multiples of " + std::to_string(multiple) +
           ", or give model.widths fewer levels";
  }

  ValueId two_convolutions(const std::string& name, ValueId x, int channels) {
    const ValueId middle =
        norm_activation(name, "1", conv(name + ".conv1", x, {channels, 3, 1, 1}));
    const ValueId y = conv(name + ".conv2", middle, {channels, 3, 1, 1});
    if (!net_.residual) return norm_activation(name, "2", y);
    const ValueId branch = norm(name + ".norm2", y, net_.last_gamma);
    return activation(name + ".relu2",
                      graph_.add(name + ".sum", Add{}, {branch, shortcut(name, x, channels)}));
  }

  /// The images themselves are not added to what was made of them.
  ValueId shortcut(const std::string& name, ValueId x, int channels) {
    if (x != graph_.input() && shape(x).channels == channels) return x;
    return norm(name + ".projection_norm", conv(name + ".projection", x, {channels, 1, 1, 1}));
  }

  /// The 1x1 convolution comes before the enlargement: they commute, and there are fewer pixels.
  ValueId up(const std::string& name, ValueId x, int channels) {
    if (net_.transposed)
      return graph_.add(name + ".up", ConvTranspose2d{.out_channels = channels}, {x});
    x = conv(name + ".up.conv", x, {channels, 1, 1, 1});
    return graph_.add(name + ".up", Upsample{}, {x});
  }

  ValueId join(const std::string& name, ValueId skip, ValueId x) {
    if (net_.concat) return graph_.add(name + ".concat", Concat{}, {skip, x}, size_hint());
    return graph_.add(name + ".add", Add{}, {x, skip}, size_hint());
  }

  const UNet& net_;
};

}  // namespace

UNet resolve_unet(const ModelOptions& options) {
  std::vector<std::string_view> own{"widths", "skip", "upsample"};
  if (options.residual) own.insert(own.end(), {"residual", "last_gamma"});
  refuse_other_keys(options, own);
  UNet net{resolve_layers(options)};
  net.widths = options.widths.empty() ? std::vector{64, 128, 256, 512, 1024} : options.widths;
  if (net.widths.size() < 2 || net.widths.size() > 12)
    fail_key("widths", std::to_string(net.widths.size()) + " entries",
             "family unet takes 2 to 12 levels, e.g. 32,64,128,256");
  for (int width : net.widths) {
    require_at_least("widths", width, 1);
    if (width > 1 << 20) fail_key("widths", std::to_string(width), "must be at most 1048576");
  }
  net.concat = choose("skip", options.skip, Choices2<bool>{{{"concat", true}, {"add", false}}});
  net.transposed = choose("upsample", options.upsample,
                          Choices2<bool>{{{"transposed", true}, {"bilinear", false}}});
  net.residual = options.residual;
  net.last_gamma = options.last_gamma;
  net.dropout = options.dropout;
  return net;
}

Graph build_unet(const UNet& net, Shape input, int classes) {
  Graph graph(input);
  UNetBuilder(graph, net).build(classes);
  return graph;
}

}  // namespace lockstep
