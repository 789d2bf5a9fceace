#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "layers/graph.h"
#include "tests/reference/tensor.h"

namespace lockstep {

/// A graph run by the naive twins (tests/reference) in double precision, image by image and op by
/// op: what an executor of the same graph must give, up to rounding.
class ReferenceGraph {
 public:
  using Tensors = std::map<std::string, reference::Tensor>;  // by name, as in the graph

  /// Parameters start as zeros, statistics with their initial values.
  /// @throws std::invalid_argument if the graph has ops that draw (dropout, stochastic depth).
  explicit ReferenceGraph(const Graph& graph);

  Tensors parameters, statistics;

  /// What gates of images draw by in training (images in the order of the epoch), as run_step's.
  std::uint64_t seed = 5;
  std::int64_t step = 0;

  /// images [N,C,H,W] -> the loss: mean over the images. In training, batch norms use the batch and
  /// update the statistics; otherwise they use the statistics.
  double forward(const reference::Tensor& images, const std::vector<int>& labels, bool training);

  /// Gradients of the parameters, after a forward in training.
  Tensors backward();

  /// What the latest forward gave: [N,C,H,W], or [N,features].
  const reference::Tensor& value(ValueId id) const { return values_[static_cast<std::size_t>(id)]; }
  /// The gradient of a value, after backward (empty for the images).
  const reference::Tensor& diff_value(ValueId id) const {
    return diffs_[static_cast<std::size_t>(id)];
  }

 private:
  struct Forward;
  struct Backward;

  /// Of all images; 0 in evaluation.
  reference::Tensor gate_noise(const Op& op, bool training) const;

  const Graph& graph_;
  std::vector<reference::Tensor> values_, diffs_;  // by ValueId
  reference::Tensor diff_logits_;
  std::vector<int> labels_;
  double loss_ = 0;
};

}  // namespace lockstep
