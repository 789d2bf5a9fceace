#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "layers/parameter.h"
#include "layers/shape.h"

namespace lockstep {

// What an op is asked about, and what it answers with; layers/ops/description.h lists the questions.

/// What an output shape is inferred from; every error names the op, its shapes and the way out.
struct ShapeSite {
  const std::string& name;
  const char* kind;
  const std::vector<Shape>& inputs;
  const std::string& hint;  // what the user can do; ends the message

  const Shape& src() const { return inputs[0]; }
  /// @throws ShapeError
  [[noreturn]] void fail(const std::string& what) const;
  void require(bool condition, const std::string& what) const;
  /// Output size of a window that moves over `size` pixels.
  int windowed(int size, int kernel, int stride, int padding, bool ceil_mode = false) const;
};

/// The tensors that an op owns.
struct OpTensors {
  std::vector<Parameter> parameters = {};
  std::vector<Statistic> statistics = {};
};

/// "NAME.weight", with weight decay.
Parameter weight_parameter(const std::string& op, std::vector<std::int64_t> dims, Init init);
/// [size], all `constant`, without weight decay.
Parameter vector_parameter(const std::string& name, int size, float constant);
/// "NAME.weight" (gamma) and "NAME.bias" (beta, 0) of every channel.
std::vector<Parameter> norm_parameters(const std::string& op, int channels, float gamma);

/// Work of one image: a multiply-add is two FLOPs; bytes are those of activations in f32 that the op's
/// own passes over memory read and write, unfused (weights serve a whole micro-batch: not counted).
/// An exponential or error function counts as one FLOP, as a comparison does.
/// An op that reads the input images computes no data gradient.
struct OpCost {
  double forward_flops = 0;
  double backward_flops = 0;
  double forward_bytes = 0;
  double backward_bytes = 0;
};

/// What the formulas need: the elements of one image that the op reads and writes.
struct CostSite {
  Shape src;
  double in = 0, out = 0;
  bool reads_images = false;  // the network's input needs no gradient

  /// From FLOPs and elements moved, forward and backward.
  OpCost cost(double forward_flops, double backward_flops, double forward_elements,
              double backward_elements) const;
  /// Backward of a product with weights is two of its size: one for the data, one for the weights.
  OpCost product(double multiply_adds, double bias_elements) const;
  /// Forward: sum and sum of squares, then scale and shift. Backward: two masked sums, then
  /// a*g + b*x + k. Each is a pass over memory of its own.
  OpCost norm() const;
};

/// What an op's backward reads besides the gradient of its output.
struct BackwardNeeds {
  bool src = false;                 // its input(s)
  bool dst = false;                 // its output
  std::size_t workspace_bytes = 0;  // per image, written by forward
  bool alias = false;               // the input's gradient is the output's gradient itself
};

/// Where an op would lie in a layout of blocks of 8 or 16 channels.
struct LayoutSite {
  int block = 0;
  Shape src, dst;
  const std::vector<Shape>& inputs;
  bool reads_images = false, any_reads_images = false;  // its first input is the network's; any is

  bool whole(int channels) const { return channels % block == 0; }
  /// Of an op that keeps its input's channels: only a convolution may read the input images.
  bool keeps_channels() const { return !any_reads_images; }
  /// Of an op that moves channels: every input and the output are whole blocks.
  bool moves_channels() const;
};

/// What an op would read where convolutions store their results as bf16.
struct StorageSite {
  std::vector<bool> bf16;  // by input
  bool reads_images = false, any_reads_images = false;

  /// The obstacle for an op other than a convolution: "" if its inputs are stored alike.
  std::string of_images() const;
  std::string unlike_inputs() const;
};

}  // namespace lockstep
