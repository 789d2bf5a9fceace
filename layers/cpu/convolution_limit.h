#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "layers/call.h"

namespace lockstep::cpu {

/// Seconds of a net's convolutions, each run hot on a whole batch by all threads together.
struct ConvolutionSeconds {
  double forward = 0;
  double data_gradient = 0;  // where training needs it: not of the first convolution
  double weight_gradient = 0;

  double total() const { return forward + data_gradient + weight_gradient; }
};

/// oneDNN's direct convolutions of a net, and nothing else: the limit of a training step that
/// computes its convolutions directly. (Ours of winograd.h multiply less, and may be below it.)
/// Every primitive has the best layout of its own, without a thought for its neighbours: what
/// oneDNN chooses when all is left to it ("any"), channels in blocks, or nhwc; biases are left out.
/// With bf16 activations weights are bf16 too, and weight gradients f32, as in a step.
class ConvolutionLimit {
 public:
  /// Creates the primitives for `images` images and `threads` threads, and times each of them in
  /// each layout to choose. Convolutions of equal shapes share theirs.
  /// @throws InternalError naming a convolution for which oneDNN has no kernel.
  ConvolutionLimit(const Graph& graph, int images, int threads, Storage activations);
  ~ConvolutionLimit();

  /// Runs every primitive twice and times the second run. Call it from the thread that constructed
  /// it: the threads are OpenMP's.
  ConvolutionSeconds measure();

  /// How many convolutions and passes had which layout: "any" -> 12, "blocked" -> 40, "nhwc" -> 5.
  const std::map<std::string, int>& layouts() const { return layouts_; }

 private:
  struct Timed;
  class Memory;
  void add(const Graph& graph, const Op& op, int images);

  int threads_;
  Storage activations_;
  std::unique_ptr<Memory> memory_;
  std::map<std::string, std::vector<Timed>> primitives_;  // by shapes
  std::map<std::string, int> layouts_;
};

}  // namespace lockstep::cpu
