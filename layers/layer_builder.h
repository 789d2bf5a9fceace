#pragma once
#include <string>

#include "layers/graph.h"
#include "layers/model_architecture.h"

namespace lockstep {

/// Appends to a graph what the networks of all families are made of. The builders of families
/// derive from it.
class LayerBuilder {
 public:
  LayerBuilder(Graph& graph, const LayerOptions& layers) : graph_(graph), layers_(layers) {}

 protected:
  struct Convolution {
    int out_channels, kernel, stride, groups;
  };
  /// Without bias, padded so that stride 1 keeps the size (of odd kernels).
  ValueId conv(const std::string& name, ValueId x, const Convolution& c);
  ValueId norm(const std::string& name, ValueId x, float gamma = 1.0f);
  ValueId activation(const std::string& name, ValueId x);
  /// Layer norm of every pixel over its channels.
  ValueId pixel_norm(const std::string& name, ValueId x);
  /// A convolution with bias, of patches side by side.
  ValueId patches(const std::string& name, ValueId x, int channels, int side);
  /// The same of every pixel by itself.
  ValueId pointwise(const std::string& name, ValueId x, int channels);
  /// PREFIX.normSUFFIX, PREFIX.reluSUFFIX.
  ValueId norm_activation(const std::string& prefix, const std::string& suffix, ValueId x);
  /// The end of the branch of block `index` of `blocks`: stochastic depth, a conditional skip.
  ValueId end_branch(const std::string& name, ValueId x, int index, int blocks);
  /// "pool", "dropout" if any, "fc" and "loss".
  void classifier(ValueId x, int classes, float dropout);
  /// The same of a vector, without the pool.
  void vector_classifier(ValueId x, int classes, float dropout);

  Shape shape(ValueId x) const { return graph_.value(x).shape; }

  Graph& graph_;
  const LayerOptions& layers_;
};

}  // namespace lockstep
