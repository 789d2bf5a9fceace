#include <cstddef>
#include <string>

#include "data/error.h"
#include "layers/graph.h"

namespace lockstep {

namespace {

/// What every error needs: the op, its input shapes and what the user can do.
struct Site {
  const std::string& name;
  const OpAttributes& attributes;
  const std::vector<Shape>& inputs;
  const std::string& hint;

  [[noreturn]] void fail(const std::string& what) const {
    std::string message = name + " (" + kind_name(attributes) + "): " + what;
    if (!hint.empty()) message += "; " + hint;
    throw ShapeError(message);
  }
  void require(bool condition, const std::string& what) const {
    if (!condition) fail(what);
  }
};

int windowed(const Site& site, int size, int kernel, int stride, int padding, bool ceil_mode) {
  site.require(kernel >= 1 && stride >= 1 && padding >= 0,
               "kernel and stride must be at least 1 and padding at least 0");
  const int room = size + 2 * padding - kernel;
  site.require(room >= 0, "input " + to_string(site.inputs[0]) + " is smaller than the kernel " +
                              std::to_string(kernel) + "; use a larger image or fewer strides");
  int out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // With ceil_mode the last window must still start inside the image or its left padding.
  if (ceil_mode && (out - 1) * stride >= size + padding) --out;
  return out;
}

Shape infer(const Site& s, const Conv2d& c) {
  const Shape& in = s.inputs[0];
  s.require(c.out_channels >= 1, "out_channels must be at least 1");
  s.require(c.groups >= 1 && in.channels % c.groups == 0 && c.out_channels % c.groups == 0,
            "groups = " + std::to_string(c.groups) + " does not divide the channels " +
                std::to_string(in.channels) + " -> " + std::to_string(c.out_channels));
  return {c.out_channels, windowed(s, in.height, c.kernel, c.stride, c.padding, false),
          windowed(s, in.width, c.kernel, c.stride, c.padding, false)};
}

Shape infer(const Site& s, const ConvTranspose2d& c) {
  const Shape& in = s.inputs[0];
  s.require(c.out_channels >= 1, "out_channels must be at least 1");
  s.require(c.kernel >= 1 && c.stride >= 1 && c.padding >= 0,
            "kernel and stride must be at least 1 and padding at least 0");
  const auto enlarged = [&](int size) { return (size - 1) * c.stride - 2 * c.padding + c.kernel; };
  s.require(enlarged(in.height) >= 1 && enlarged(in.width) >= 1,
            "nothing is left of input " + to_string(in) + " after padding " +
                std::to_string(c.padding) + "; use a smaller padding");
  return {c.out_channels, enlarged(in.height), enlarged(in.width)};
}

Shape infer(const Site& s, const BatchNorm&) { return s.inputs[0]; }

Shape infer(const Site& s, const GroupNorm& g) {
  s.require(g.groups >= 1 && s.inputs[0].channels % g.groups == 0,
            "groups = " + std::to_string(g.groups) + " does not divide " +
                std::to_string(s.inputs[0].channels) + " channels");
  return s.inputs[0];
}

Shape infer(const Site& s, const LayerNorm&) { return s.inputs[0]; }
Shape infer(const Site& s, const LayerScale&) { return s.inputs[0]; }
Shape infer(const Site& s, const PositionEmbedding&) { return s.inputs[0]; }

Shape infer(const Site& s, const Attention& a) {
  const Shape& in = s.inputs[0];
  s.require(in.channels % 3 == 0, "needs queries, keys and values, got " + to_string(in));
  s.require(a.heads >= 1 && in.channels / 3 % a.heads == 0,
            "heads = " + std::to_string(a.heads) + " does not divide " +
                std::to_string(in.channels / 3) + " features");
  return {in.channels / 3, in.height, in.width};
}

Shape infer(const Site& s, const Activation&) { return s.inputs[0]; }

Shape infer(const Site& s, const Add&) {
  s.require(s.inputs[0] == s.inputs[1],
            "main path " + to_string(s.inputs[0]) + ", shortcut " + to_string(s.inputs[1]));
  return s.inputs[0];
}

Shape infer(const Site& s, const Lerp&) {
  s.require(s.inputs[0] == s.inputs[1] && s.inputs[0] == s.inputs[2],
            "carried " + to_string(s.inputs[0]) + ", transformed " + to_string(s.inputs[1]) +
                ", gate " + to_string(s.inputs[2]));
  return s.inputs[0];
}

Shape infer(const Site& s, const Concat&) {
  Shape out = s.inputs[0];
  for (std::size_t i = 1; i < s.inputs.size(); ++i) {
    s.require(s.inputs[i].height == out.height && s.inputs[i].width == out.width,
              "cannot join " + to_string(s.inputs[0]) + " and " + to_string(s.inputs[i]));
    out.channels += s.inputs[i].channels;
  }
  return out;
}

Shape infer(const Site& s, const ChannelPad& p) {
  const Shape& in = s.inputs[0];
  s.require(p.stride >= 1, "stride must be at least 1");
  s.require(p.out_channels >= in.channels, "cannot pad " + std::to_string(in.channels) +
                                               " channels to " + std::to_string(p.out_channels));
  return {p.out_channels, (in.height + p.stride - 1) / p.stride,
          (in.width + p.stride - 1) / p.stride};
}

Shape infer(const Site& s, const Pool& p) {
  const Shape& in = s.inputs[0];
  s.require(2 * p.padding <= p.kernel, "padding must be at most half of the kernel");
  s.require(p.kernel <= 16, "the kernel must be at most 16");  // a position in it is kept in a byte
  return {in.channels, windowed(s, in.height, p.kernel, p.stride, p.padding, p.ceil_mode),
          windowed(s, in.width, p.kernel, p.stride, p.padding, p.ceil_mode)};
}

Shape infer(const Site& s, const Upsample& u) {
  s.require(u.factor >= 1 && u.factor <= 64, "factor must be 1 to 64");
  return {s.inputs[0].channels, u.factor * s.inputs[0].height, u.factor * s.inputs[0].width};
}

Shape infer(const Site& s, const Flatten&) {
  const std::int64_t elements = s.inputs[0].elements();
  s.require(elements <= 1 << 24, "a vector of " + std::to_string(elements) +
                                     " elements is too long; use smaller images");
  return {static_cast<int>(elements), 1, 1};
}

Shape infer(const Site& s, const GlobalAveragePool&) { return {s.inputs[0].channels, 1, 1}; }

Shape infer(const Site& s, const Linear& l) {
  s.require(l.out_features >= 1, "out_features must be at least 1");
  s.require(s.inputs[0].pixels() == 1,
            "needs a vector, got " + to_string(s.inputs[0]) + "; pool it first");
  return {l.out_features, 1, 1};
}

Shape infer(const Site& s, const Dropout& d) {
  s.require(d.probability >= 0 && d.probability < 1, "probability must be in [0,1)");
  return s.inputs[0];
}

Shape infer(const Site& s, const StochasticDepth& d) {
  s.require(d.keep > 0 && d.keep <= 1, "keep must be in (0,1]");
  return s.inputs[0];
}

Shape infer(const Site& s, const BranchGate& g) {
  s.require(g.keep > 0 && g.keep <= 1, "keep must be in (0,1]");
  return s.inputs[0];
}

Shape infer(const Site& s, const Scale&) { return s.inputs[0]; }

Shape infer(const Site& s, const ChannelScale&) {
  const Shape gate{s.inputs[0].channels, 1, 1};
  s.require(s.inputs[1] == gate,
            "gate " + to_string(s.inputs[1]) + " does not fit " + to_string(s.inputs[0]));
  return s.inputs[0];
}

Shape infer(const Site& s, const SoftmaxCrossEntropy& l) {
  s.require(s.inputs[0].pixels() == 1,
            "needs logits [N,classes,1,1], got " + to_string(s.inputs[0]));
  s.require(l.label_smoothing >= 0 && l.label_smoothing < 1, "label_smoothing must be in [0,1)");
  return {1, 1, 1};
}

Shape infer(const Site& s, const PixelCrossEntropy& l) {
  s.require(l.label_smoothing >= 0 && l.label_smoothing < 1, "label_smoothing must be in [0,1)");
  return {1, 1, 1};
}

std::size_t input_count(const OpAttributes& attributes, std::size_t given) {
  if (std::holds_alternative<Add>(attributes) || std::holds_alternative<ChannelScale>(attributes))
    return 2;
  if (std::holds_alternative<Lerp>(attributes)) return 3;
  if (std::holds_alternative<Concat>(attributes)) return given < 2 ? 2 : given;
  return 1;
}

}  // namespace

Shape infer_shape(const std::string& name, const OpAttributes& attributes,
                  const std::vector<Shape>& inputs, const std::string& hint) {
  const Site site{name, attributes, inputs, hint};
  const std::size_t wanted = input_count(attributes, inputs.size());
  site.require(inputs.size() == wanted,
               "takes " + std::to_string(wanted) + " inputs, got " + std::to_string(inputs.size()));
  return std::visit([&](const auto& op) { return infer(site, op); }, attributes);
}

}  // namespace lockstep
