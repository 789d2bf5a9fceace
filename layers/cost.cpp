#include "layers/graph.h"

namespace lockstep {

namespace {

/// What the formulas need: the elements of one image that the op reads and writes.
struct Sizes {
  Shape src;
  double in = 0, out = 0;
  bool reads_images = false;  // the network's input needs no gradient
};

constexpr double kFloat = 4;  // bytes

/// FLOPs and elements moved, forward and backward.
OpCost cost(double forward_flops, double backward_flops, double forward_elements,
            double backward_elements) {
  return {forward_flops, backward_flops, kFloat * forward_elements, kFloat * backward_elements};
}

/// Backward of a product with weights is two of its size: one for the data, one for the weights.
OpCost product_cost(const Sizes& s, double multiply_adds, double bias_elements) {
  const double flops = 2 * multiply_adds;
  const double data_flops = s.reads_images ? 0 : flops;
  const double data_elements = s.reads_images ? 0 : s.in + s.out;
  return cost(flops + bias_elements, flops + data_flops + bias_elements, s.in + s.out,
              s.in + s.out + data_elements);
}

OpCost cost_of(const Sizes& s, const Conv2d& c) {
  const double per_output = static_cast<double>(s.src.channels) / c.groups * c.kernel * c.kernel;
  return product_cost(s, s.out * per_output, c.bias ? s.out : 0);
}

/// Every element of the input is multiplied with a kernel for every output channel.
OpCost cost_of(const Sizes& s, const ConvTranspose2d& c) {
  return product_cost(s, s.in * c.out_channels * c.kernel * c.kernel, 0);
}

OpCost cost_of(const Sizes& s, const Linear& l) {
  return product_cost(s, s.in * l.out_features, l.bias ? s.out : 0);
}

/// Forward: sum and sum of squares, then scale and shift. Backward: two masked sums, then
/// a*g + b*x + k. Each is a pass over memory of its own.
OpCost norm_cost(const Sizes& s) { return cost(5 * s.in, 8 * s.in, 3 * s.in, 5 * s.in); }
OpCost cost_of(const Sizes& s, const BatchNorm&) { return norm_cost(s); }
OpCost cost_of(const Sizes& s, const GroupNorm&) { return norm_cost(s); }
OpCost cost_of(const Sizes& s, const LayerNorm&) { return norm_cost(s); }

/// Backward: dx = dy * weight, and the sums of dy * x.
OpCost cost_of(const Sizes& s, const LayerScale&) {
  return cost(s.in, 3 * s.in, 2 * s.in, 4 * s.in);
}
OpCost cost_of(const Sizes& s, const PositionEmbedding&) {
  return cost(s.in, s.in, 2 * s.in, s.in);
}

/// Two products forward and four backward, and what lies between them: the softmax.
OpCost cost_of(const Sizes& s, const Attention& a) {
  const double pixels = s.src.pixels(), scores = a.heads * pixels * pixels;
  return cost(4 * pixels * s.out + 6 * scores, 8 * pixels * s.out + 4 * scores,
              s.in + s.out + 2 * scores, 2 * s.in + s.out + 3 * scores);
}

/// An exponential or error function counts as one, as a comparison does.
OpCost cost_of(const Sizes& s, const Activation& a) {
  switch (a.kind) {
    case ActivationKind::kRelu:
      return cost(s.in, s.in, 2 * s.in, 3 * s.in);
    case ActivationKind::kLeakyRelu:
      return cost(2 * s.in, 2 * s.in, 2 * s.in, 3 * s.in);
    case ActivationKind::kElu:
      return cost(4 * s.in, 4 * s.in, 2 * s.in, 3 * s.in);
    case ActivationKind::kGelu:
      return cost(5 * s.in, 10 * s.in, 2 * s.in, 3 * s.in);
    case ActivationKind::kSigmoid:
      return cost(3 * s.in, 3 * s.in, 2 * s.in, 3 * s.in);
  }
  return {};
}

/// Both inputs get the gradient itself: nothing is computed or moved.
OpCost cost_of(const Sizes& s, const Add&) { return cost(s.out, 0, 3 * s.out, 0); }

/// Backward: dy - dy*w, dy*w and dy*(end - start), in one pass.
OpCost cost_of(const Sizes& s, const Lerp&) {
  return cost(3 * s.out, 4 * s.out, 4 * s.out, 7 * s.out);
}

OpCost cost_of(const Sizes& s, const Concat&) { return cost(0, 0, 2 * s.out, 2 * s.out); }

OpCost cost_of(const Sizes& s, const ChannelPad&) { return cost(0, 0, s.in + s.out, s.in + s.out); }

OpCost cost_of(const Sizes& s, const Pool& p) {
  const double window = static_cast<double>(p.kernel) * p.kernel;
  const double backward = p.kind == PoolKind::kMax ? s.out : window * s.out;
  return cost(window * s.out, backward, s.in + s.out, s.in + s.out);
}

/// Four products and their sum an output.
OpCost cost_of(const Sizes& s, const Upsample&) {
  return cost(7 * s.out, 8 * s.out, s.in + s.out, s.in + s.out);
}

OpCost cost_of(const Sizes& s, const Flatten&) { return cost(0, 0, 2 * s.in, 2 * s.in); }

OpCost cost_of(const Sizes& s, const GlobalAveragePool&) {
  return cost(s.in + s.out, s.out, s.in + s.out, s.in + s.out);
}

/// The draws are made again in backward, not stored: no bytes for them.
OpCost cost_of(const Sizes& s, const Dropout&) {
  return cost(2 * s.in, 2 * s.in, 2 * s.in, 2 * s.in);
}
OpCost cost_of(const Sizes& s, const StochasticDepth&) {
  return cost(s.in, s.in, 2 * s.in, 2 * s.in);
}
OpCost cost_of(const Sizes& s, const BranchGate&) { return cost(s.in, s.in, 2 * s.in, 2 * s.in); }
OpCost cost_of(const Sizes& s, const Scale&) { return cost(s.in, s.in, 2 * s.in, 2 * s.in); }

/// Backward: dx = dy * gate, and dgate = sum of dy * x.
OpCost cost_of(const Sizes& s, const ChannelScale&) {
  const double gate = s.src.channels;
  return cost(s.out, 3 * s.out, 2 * s.out + gate, 4 * s.out + 2 * gate);
}

/// Maximum, difference, exponential, sum, logarithm and weighting; backward: (p - target) / N.
OpCost cost_of(const Sizes& s, const SoftmaxCrossEntropy&) {
  return cost(6 * s.in, 2 * s.in, s.in, 2 * s.in);
}
OpCost cost_of(const Sizes& s, const PixelCrossEntropy&) {
  return cost(6 * s.in, 2 * s.in, s.in, 2 * s.in);
}

}  // namespace

OpCost op_cost(const Graph& graph, const Op& op) {
  const Value& src = graph.value(op.inputs[0]);
  const Shape dst = op.output == kNone ? Shape{1, 1, 1} : graph.value(op.output).shape;
  const Sizes sizes{.src = src.shape,
                    .in = static_cast<double>(src.shape.elements()),
                    .out = static_cast<double>(dst.elements()),
                    .reads_images = op.inputs[0] == graph.input()};
  return std::visit([&](const auto& attributes) { return cost_of(sizes, attributes); },
                    op.attributes);
}

}  // namespace lockstep
