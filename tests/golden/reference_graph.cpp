#include "tests/golden/reference_graph.h"

#include <algorithm>
#include <cmath>

#include "data/random.h"
#include "tests/reference/attention.h"
#include "tests/reference/channels.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/normalization.h"
#include "tests/reference/pooling.h"
#include "tests/reference/upsampling.h"

namespace lockstep {
namespace {

using reference::Tensor;

reference::ConvolutionOptions options_of(const Conv2d& c) {
  return {.stride = c.stride, .padding = c.padding, .groups = c.groups};
}

reference::PoolOptions options_of(const Pool& p) {
  return {.kernel = p.kernel,
          .stride = p.stride,
          .padding = p.padding,
          .ceil_mode = p.ceil_mode,
          .count_include_pad = false};
}

reference::ChannelPadOptions options_of(const ChannelPad& p) {
  return {.out_channels = p.out_channels, .stride = p.stride, .pad_front = 0};
}

reference::ActivationKind kind_of(const Activation& a) {
  for (const reference::ActivationTwin& twin : reference::kActivationTwins)
    if (std::string(twin.word) == a.row().word) return twin.kind;
  throw std::invalid_argument(std::string(a.row().word) + ": an activation that has no twin");
}

/// [N,C] as [N,C,1,1].
Tensor pixels_of(Tensor t) {
  t.dims.resize(4, 1);
  return t;
}

/// A tensor [N,C,H,W] is in plain order already.
Tensor flattened(const Tensor& src) {
  return {{src.dim(0), src.elements() / src.dim(0), 1, 1}, src.values};
}

[[noreturn]] void refuse(const Op& op) {
  throw std::invalid_argument(op.name + ": the reference does not draw; set its probability to 0");
}

}  // namespace

/// One op's output from its inputs; visits the op's attributes.
struct ReferenceGraph::Forward {
  ReferenceGraph& run;
  const Op& op;
  bool training;

  const Tensor& src(std::size_t i = 0) const { return run.value(op.inputs[i]); }
  const Tensor& parameter(std::size_t i) const {
    return run.parameters.at(run.graph_.parameter(op.parameters.at(i)).name);
  }
  /// The bias of convolutions and linear layers; empty without one.
  Tensor bias() const { return op.parameters.size() > 1 ? parameter(1) : Tensor{}; }
  std::vector<double>& statistic(int i) const {
    const auto id = static_cast<std::size_t>(op.first_statistic + i);
    return run.statistics.at(run.graph_.statistics()[id].name).values;
  }

  Tensor operator()(const Conv2d& c) const {
    return reference::conv2d(src(), parameter(0), bias(), options_of(c));
  }
  Tensor operator()(const ConvTranspose2d& c) const {
    return reference::conv_transpose2d(src(), parameter(0), c.stride, c.padding);
  }
  Tensor operator()(const Upsample& u) const { return reference::upsample(src(), u.factor); }
  Tensor operator()(const BatchNorm& b) const {
    const Tensor x = pixels_of(src());
    if (!training)
      return {src().dims, reference::batch_norm_inference(x, parameter(0), parameter(1),
                                                          statistic(0), statistic(1), b.eps)
                              .values};
    reference::NormResult result = reference::batch_norm(x, parameter(0), parameter(1), b.eps);
    const std::int64_t count = x.dim(0) * x.dim(2) * x.dim(3);
    reference::update_running_statistics(result, count, b.momentum, statistic(0), statistic(1));
    return {src().dims, std::move(result.dst.values)};
  }
  Tensor operator()(const GroupNorm& g) const {
    auto result =
        reference::group_norm(pixels_of(src()), parameter(0), parameter(1), g.groups, g.eps);
    return {src().dims, std::move(result.dst.values)};
  }
  Tensor operator()(const LayerNorm& l) const {
    return reference::layer_norm_pixel(src(), parameter(0), parameter(1), l.eps).dst;
  }
  Tensor operator()(const LayerScale&) const { return reference::layer_scale(src(), parameter(0)); }
  Tensor operator()(const PositionEmbedding&) const {
    return reference::position_embedding(src(), parameter(0));
  }
  Tensor operator()(const Attention& a) const { return reference::attention(src(), a.heads); }
  Tensor operator()(const Activation& a) const {
    return reference::activation(src(), kind_of(a), a.alpha);
  }
  Tensor operator()(const Add&) const { return reference::add(src(0), src(1)); }
  Tensor operator()(const Lerp&) const { return reference::lerp(src(0), src(1), src(2)); }
  Tensor operator()(const Concat&) const {
    std::vector<Tensor> parts;
    for (ValueId id : op.inputs) parts.push_back(run.value(id));
    return reference::concat(parts);
  }
  Tensor operator()(const ChannelPad& p) const {
    return reference::channel_pad(src(), options_of(p));
  }
  Tensor operator()(const Pool& p) const {
    return p.kind == PoolKind::kMax ? reference::max_pool(src(), options_of(p))
                                    : reference::average_pool(src(), options_of(p));
  }
  Tensor operator()(const Flatten&) const { return flattened(src()); }
  Tensor operator()(const GlobalAveragePool&) const {
    return reference::global_average_pool(src());
  }
  Tensor operator()(const Linear&) const { return reference::linear(src(), parameter(0), bias()); }
  Tensor operator()(const Scale& s) const { return reference::scale(src(), s.alpha); }
  Tensor operator()(const ChannelScale&) const { return reference::channel_scale(src(0), src(1)); }
  Tensor operator()(const ImageGate&) const {
    return reference::image_gate(src(), run.gate_noise(op, training));
  }
  Tensor operator()(const SoftmaxCrossEntropy& s) const {
    auto result = reference::softmax_cross_entropy(src(), run.labels_, s.label_smoothing,
                                                   static_cast<double>(run.labels_.size()));
    run.loss_ = result.loss;
    run.diff_logits_ = std::move(result.diff_src);
    return {};
  }
  /// The loss that is told is the mean over the pixels with labels.
  Tensor operator()(const PixelCrossEntropy& p) const {
    const auto pixels = static_cast<double>(run.labels_.size());
    const auto labelled = static_cast<double>(std::count_if(run.labels_.begin(), run.labels_.end(),
                                                            [](int label) { return label >= 0; }));
    auto result = reference::pixel_cross_entropy(src(), run.labels_, p.label_smoothing, pixels);
    run.loss_ = result.loss * pixels / labelled;
    run.diff_logits_ = std::move(result.diff_src);
    return {};
  }
  Tensor operator()(const BranchGate&) const { refuse(op); }
  Tensor operator()(const Dropout&) const { refuse(op); }
  Tensor operator()(const StochasticDepth&) const { refuse(op); }
};

/// The gradients of one op's inputs; fills those of its parameters.
struct ReferenceGraph::Backward {
  ReferenceGraph& run;
  const Op& op;
  Tensors& gradients;

  using Diffs = std::vector<Tensor>;  // one per input

  const Tensor& src(std::size_t i = 0) const { return run.value(op.inputs[i]); }
  const Tensor& diff() const { return run.diff_value(op.output); }
  const std::string& name(std::size_t i) const {
    return run.graph_.parameter(op.parameters.at(i)).name;
  }
  const Tensor& parameter(std::size_t i) const { return run.parameters.at(name(i)); }
  void set_gradient(std::size_t i, Tensor gradient) const {
    if (i < op.parameters.size()) gradients[name(i)] = std::move(gradient);
  }
  Diffs norm(reference::NormGradients g) const {
    set_gradient(0, std::move(g.gamma));
    set_gradient(1, std::move(g.beta));
    return {{src().dims, std::move(g.src.values)}};
  }

  Diffs operator()(const Conv2d& c) const {
    auto g = reference::conv2d_backward(src(), parameter(0), diff(), options_of(c));
    set_gradient(0, std::move(g.weight));
    set_gradient(1, std::move(g.bias));
    return {std::move(g.src)};
  }
  Diffs operator()(const ConvTranspose2d& c) const {
    auto g = reference::conv_transpose2d_backward(src(), parameter(0), diff(), c.stride, c.padding);
    set_gradient(0, std::move(g.weight));
    return {std::move(g.src)};
  }
  Diffs operator()(const Upsample& u) const {
    return {reference::upsample_backward(src().dims, diff(), u.factor)};
  }
  Diffs operator()(const BatchNorm& b) const {
    return norm(
        reference::batch_norm_backward(pixels_of(src()), parameter(0), pixels_of(diff()), b.eps));
  }
  Diffs operator()(const GroupNorm& g) const {
    return norm(reference::group_norm_backward(pixels_of(src()), parameter(0), pixels_of(diff()),
                                               g.groups, g.eps));
  }
  Diffs operator()(const LayerNorm& l) const {
    return norm(reference::layer_norm_pixel_backward(src(), parameter(0), diff(), l.eps));
  }
  Diffs operator()(const LayerScale&) const {
    auto g = reference::layer_scale_backward(src(), parameter(0), diff());
    set_gradient(0, std::move(g.weight));
    return {std::move(g.src)};
  }
  Diffs operator()(const PositionEmbedding&) const {
    set_gradient(0, reference::position_embedding_backward(parameter(0), diff()));
    return {diff()};
  }
  Diffs operator()(const Attention& a) const {
    return {reference::attention_backward(src(), diff(), a.heads)};
  }
  Diffs operator()(const Activation& a) const {
    return {reference::activation_backward(src(), diff(), kind_of(a), a.alpha)};
  }
  Diffs operator()(const Add&) const { return {diff(), diff()}; }
  Diffs operator()(const Lerp&) const {
    auto g = reference::lerp_backward(src(0), src(1), src(2), diff());
    return {std::move(g.start), std::move(g.end), std::move(g.weight)};
  }
  Diffs operator()(const Concat&) const {
    std::vector<std::int64_t> channels;
    for (ValueId id : op.inputs) channels.push_back(run.value(id).dim(1));
    return reference::concat_backward(diff(), channels);
  }
  Diffs operator()(const ChannelPad& p) const {
    return {reference::channel_pad_backward(src().dims, diff(), options_of(p))};
  }
  Diffs operator()(const Pool& p) const {
    return {p.kind == PoolKind::kMax
                ? reference::max_pool_backward(src(), diff(), options_of(p))
                : reference::average_pool_backward(src(), diff(), options_of(p))};
  }
  Diffs operator()(const Flatten&) const { return {{src().dims, diff().values}}; }
  Diffs operator()(const GlobalAveragePool&) const {
    return {reference::global_average_pool_backward(src().dims, diff())};
  }
  Diffs operator()(const Linear&) const {
    auto g = reference::linear_backward(src(), parameter(0), diff());
    set_gradient(0, std::move(g.weight));
    set_gradient(1, std::move(g.bias));
    return {std::move(g.src)};
  }
  Diffs operator()(const Scale& s) const { return {reference::scale(diff(), s.alpha)}; }
  Diffs operator()(const ChannelScale&) const {
    auto g = reference::channel_scale_backward(src(0), src(1), diff());
    return {std::move(g.src), std::move(g.gate)};
  }
  Diffs operator()(const ImageGate& g) const {
    const double images = static_cast<double>(src().dim(0));
    return {reference::image_gate_backward(
        src(), run.gate_noise(op, true), diff(),
        {.rate = g.rate, .weight = static_cast<double>(g.rate_weight) / images})};
  }
  Diffs operator()(const SoftmaxCrossEntropy&) const { return {run.diff_logits_}; }
  Diffs operator()(const PixelCrossEntropy&) const { return {run.diff_logits_}; }
  Diffs operator()(const BranchGate&) const { refuse(op); }
  Diffs operator()(const Dropout&) const { refuse(op); }
  Diffs operator()(const StochasticDepth&) const { refuse(op); }
};

ReferenceGraph::ReferenceGraph(const Graph& graph)
    : graph_(graph), values_(graph.values().size()), diffs_(graph.values().size()) {
  for (const Op& op : graph.ops())
    if (std::holds_alternative<Dropout>(op.attributes) ||
        std::holds_alternative<StochasticDepth>(op.attributes) ||
        std::holds_alternative<BranchGate>(op.attributes))
      refuse(op);
  for (const Parameter& p : graph.parameters()) parameters[p.name] = reference::make_tensor(p.dims);
  for (const Statistic& s : graph.statistics())
    statistics[s.name] = reference::make_tensor({s.channels}, s.initial);
}

Tensor ReferenceGraph::gate_noise(const Op& op, bool training) const {
  Tensor noise = reference::make_tensor(value(op.inputs[0]).dims);
  if (!training) return noise;
  const auto id = static_cast<std::uint32_t>(&op - graph_.ops().data());
  for (std::uint32_t n = 0; n < noise.values.size(); ++n) {
    const auto bits = philox({0, n, id, static_cast<std::uint32_t>(step)},
                             random_key(seed, RandomUse::kImageGate));
    const double u = (std::floor(bits[0] / 256.0) + 0.5) / (1 << 24);
    noise.values[n] = std::log(u / (1 - u));
  }
  return noise;
}

double ReferenceGraph::forward(const Tensor& images, const std::vector<int>& labels,
                               bool training) {
  values_[static_cast<std::size_t>(graph_.input())] = images;
  labels_ = labels;
  for (const Op& op : graph_.ops()) {
    Tensor dst = std::visit(Forward{*this, op, training}, op.attributes);
    if (op.output != kNone) values_[static_cast<std::size_t>(op.output)] = std::move(dst);
  }
  return loss_;
}

ReferenceGraph::Tensors ReferenceGraph::backward() {
  diffs_.assign(values_.size(), {});
  Tensors gradients;
  for (auto op = graph_.ops().rbegin(); op != graph_.ops().rend(); ++op) {
    std::vector<Tensor> diffs = std::visit(Backward{*this, *op, gradients}, op->attributes);
    for (std::size_t i = 0; i < diffs.size(); ++i) {
      if (op->inputs[i] == graph_.input()) continue;
      Tensor& sum = diffs_[static_cast<std::size_t>(op->inputs[i])];
      sum = sum.values.empty() ? std::move(diffs[i]) : reference::add(sum, diffs[i]);
    }
  }
  return gradients;
}

}  // namespace lockstep
