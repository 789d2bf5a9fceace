#include "layers/layer_builder.h"

#include <numeric>

namespace lockstep {

ValueId LayerBuilder::conv(const std::string& name, ValueId x, const Convolution& c) {
  return graph_.add(name,
                    Conv2d{.out_channels = c.out_channels,
                           .kernel = c.kernel,
                           .stride = c.stride,
                           .padding = c.kernel / 2,
                           .groups = c.groups},
                    {x}, "change model.widths, cardinality or base_width");
}

ValueId LayerBuilder::norm(const std::string& name, ValueId x, float gamma) {
  const LayerOptions& l = layers_;
  if (l.norm == NormKind::kBatch)
    return graph_.add(
        name, BatchNorm{.momentum = l.norm_momentum, .eps = l.norm_eps, .gamma_init = gamma}, {x});
  // Layer normalization over C,H,W is one group; 32 groups of 48 channels become 16.
  const int groups = l.norm == NormKind::kLayer ? 1 : std::gcd(l.norm_groups, shape(x).channels);
  return graph_.add(name, GroupNorm{.groups = groups, .eps = l.norm_eps, .gamma_init = gamma}, {x});
}

ValueId LayerBuilder::activation(const std::string& name, ValueId x) {
  return graph_.add(name, layers_.activation, {x});
}

ValueId LayerBuilder::pixel_norm(const std::string& name, ValueId x) {
  return graph_.add(name, LayerNorm{.eps = layers_.norm_eps}, {x});
}

ValueId LayerBuilder::patches(const std::string& name, ValueId x, int channels, int side) {
  const Conv2d conv{
      .out_channels = channels, .kernel = side, .stride = side, .padding = 0, .bias = true};
  return graph_.add(name, conv, {x}, "use larger images, fewer groups or a smaller model.patch");
}

ValueId LayerBuilder::pointwise(const std::string& name, ValueId x, int channels) {
  return patches(name, x, channels, 1);
}

ValueId LayerBuilder::norm_activation(const std::string& prefix, const std::string& suffix,
                                      ValueId x) {
  return activation(prefix + ".relu" + suffix, norm(prefix + ".norm" + suffix, x));
}

ValueId LayerBuilder::end_branch(const std::string& name, ValueId x, int index, int blocks) {
  const float kept = keep_probability(layers_.stochastic_depth, index, blocks);
  if (kept < 1) x = graph_.add(name + ".stochastic_depth", StochasticDepth{kept}, {x});
  const float open = keep_probability(layers_.conditional_skip, index, blocks);
  if (open < 1) x = graph_.add(name + ".gate", BranchGate{open}, {x});
  return x;
}

void LayerBuilder::classifier(ValueId x, int classes, float dropout) {
  vector_classifier(graph_.add("pool", GlobalAveragePool{}, {x}), classes, dropout);
}

void LayerBuilder::vector_classifier(ValueId x, int classes, float dropout) {
  if (dropout > 0) x = graph_.add("dropout", Dropout{dropout}, {x});
  x = graph_.add("fc", Linear{classes}, {x});
  graph_.add("loss", SoftmaxCrossEntropy{layers_.label_smoothing}, {x});
}

}  // namespace lockstep
