#pragma once
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <string>
#include <vector>

#include "layers/ops/traits.h"
#include "layers/parameter.h"
#include "layers/shape.h"

namespace lockstep {

// What an op says of itself. An op is a struct in layers/ops/NAME.h: its attributes as plain values, and
// the members that OpDescription lists. Shapes are per image, [C,H,W]; see layers/shape.h.

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

/// " 3 1 1": attributes in the text of what evaluation computes.
std::string attribute_text(std::initializer_list<int> values);
std::string attribute_text(float value);

template <class T>
concept HasTraits = requires(const T& op) {
  { op.traits() } -> std::same_as<OpTraits>;
};
template <class T>
concept HasShape = requires(const T& op, const ShapeSite& site) {
  { op.shape(site) } -> std::same_as<Shape>;
};
template <class T>
concept HasTensors = requires(const T& op, const std::string& name, const Shape& src) {
  { op.tensors(name, src) } -> std::same_as<OpTensors>;
};
template <class T>
concept HasCost = requires(const T& op, const CostSite& site) {
  { op.cost(site) } -> std::same_as<OpCost>;
};
template <class T>
concept HasBackwardNeeds = requires(const T& op, const Shape& dst) {
  { op.backward_needs(dst) } -> std::same_as<BackwardNeeds>;
};
template <class T>
concept HasBlocks = requires(const T& op, const LayoutSite& site) {
  { op.fits_blocks(site) } -> std::same_as<bool>;
};
template <class T>
concept HasBf16 = requires(const T& op, const StorageSite& site) {
  { op.bf16_obstacle(site) } -> std::same_as<std::string>;
};
template <class T>
concept HasEvaluationText = requires(const T& op) {
  { op.evaluation_text() } -> std::same_as<std::string>;
};

/// Everything that a graph and a plan ask of an op. Each lack is an error of its own.
template <class T>
constexpr bool is_op_description() {
  static_assert(HasTraits<T>, "an op lacks: OpTraits traits() const");
  static_assert(HasShape<T>, "an op lacks: Shape shape(const ShapeSite&) const");
  static_assert(HasTensors<T>,
                "an op lacks: OpTensors tensors(const std::string& name, const Shape& src) const");
  static_assert(HasCost<T>, "an op lacks: OpCost cost(const CostSite&) const");
  static_assert(HasBackwardNeeds<T>,
                "an op lacks: BackwardNeeds backward_needs(const Shape& dst) const");
  static_assert(HasBlocks<T>, "an op lacks: bool fits_blocks(const LayoutSite&) const");
  static_assert(HasBf16<T>, "an op lacks: std::string bf16_obstacle(const StorageSite&) const");
  static_assert(HasEvaluationText<T>, "an op lacks: std::string evaluation_text() const");
  return true;
}

}  // namespace lockstep
