#include "tests/reference/elementwise.h"

namespace lockstep::reference {
namespace {

const ActivationTwin& twin_of(ActivationKind kind) {
  return kActivationTwins[static_cast<std::size_t>(kind)];
}

void require_same(const Tensor& a, const Tensor& b, const std::string& what) {
  require(a.dims == b.dims, what + " of " + dims_text(a) + " and " + dims_text(b));
}

}  // namespace

Tensor activation(const Tensor& src, ActivationKind kind, double alpha) {
  Tensor dst = src;
  for (double& v : dst.values) v = twin_of(kind).value(v, alpha);
  return dst;
}

Tensor activation_backward(const Tensor& src, const Tensor& diff_dst, ActivationKind kind,
                           double alpha) {
  require_same(src, diff_dst, "activation_backward");
  Tensor diff_src = diff_dst;
  for (std::int64_t i = 0; i < src.elements(); ++i)
    diff_src[i] *= twin_of(kind).slope(src[i], alpha);
  return diff_src;
}

Tensor add(const Tensor& a, const Tensor& b) {
  require_same(a, b, "add");
  Tensor dst = a;
  for (std::int64_t i = 0; i < a.elements(); ++i) dst[i] += b[i];
  return dst;
}

Tensor scale(const Tensor& src, double alpha) {
  Tensor dst = src;
  for (double& v : dst.values) v *= alpha;
  return dst;
}

Tensor dropout(const Tensor& src, const Tensor& mask, double probability) {
  require_same(src, mask, "dropout");
  Tensor dst = src;
  for (std::int64_t i = 0; i < src.elements(); ++i) dst[i] *= mask[i] / (1 - probability);
  return dst;
}

Tensor stochastic_depth(const Tensor& src, const std::vector<double>& factors) {
  require(static_cast<std::int64_t>(factors.size()) == src.dim(0),
          "stochastic_depth of " + dims_text(src) + " with " + std::to_string(factors.size()) +
              " factors");
  Tensor dst = src;
  for (std::size_t i = 0; i < dst.values.size(); ++i)
    dst.values[i] *= factors[i / (dst.values.size() / factors.size())];
  return dst;
}

Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight) {
  require_same(start, end, "lerp");
  require_same(start, weight, "lerp");
  Tensor dst = start;
  for (std::int64_t i = 0; i < dst.elements(); ++i) dst[i] += weight[i] * (end[i] - start[i]);
  return dst;
}

LerpGradients lerp_backward(const Tensor& start, const Tensor& end, const Tensor& weight,
                            const Tensor& diff_dst) {
  require_same(start, diff_dst, "lerp_backward");
  LerpGradients result{diff_dst, diff_dst, diff_dst};
  for (std::int64_t i = 0; i < diff_dst.elements(); ++i) {
    result.start[i] *= 1 - weight[i];
    result.end[i] *= weight[i];
    result.weight[i] *= end[i] - start[i];
  }
  return result;
}

Tensor channel_scale(const Tensor& src, const Tensor& gate) {
  const bool of_channels = gate.elements() == src.dim(0) * src.dim(1);
  require(of_channels || gate.elements() == src.dim(0),
          "channel_scale of " + dims_text(src) + " by " + dims_text(gate));
  Tensor dst = src;
  const std::int64_t each = src.elements() / gate.elements();
  for (std::int64_t i = 0; i < src.elements(); ++i) dst[i] *= gate[i / each];
  return dst;
}

ChannelScaleGradients channel_scale_backward(const Tensor& src, const Tensor& gate,
                                             const Tensor& diff_dst) {
  require_same(src, diff_dst, "channel_scale_backward");
  ChannelScaleGradients result{channel_scale(diff_dst, gate), make_tensor(gate.dims)};
  const std::int64_t each = src.elements() / gate.elements();
  for (std::int64_t i = 0; i < src.elements(); ++i) result.gate[i / each] += src[i] * diff_dst[i];
  return result;
}

Tensor image_gate(const Tensor& odds, const Tensor& noise) {
  require_same(odds, noise, "image_gate");
  Tensor dst = odds;
  for (std::int64_t i = 0; i < odds.elements(); ++i) dst[i] = odds[i] + noise[i] > 0 ? 1 : 0;
  return dst;
}

double image_gate_loss(const Tensor& odds, const GateRate& rate) {
  const Tensor open = activation(odds, ActivationKind::kSigmoid);
  double sum = 0;
  for (const double p : open.values) sum += (p - rate.rate) * (p - rate.rate);
  return rate.weight * sum;
}

Tensor image_gate_backward(const Tensor& odds, const Tensor& noise, const Tensor& diff_dst,
                           const GateRate& rate) {
  const Tensor through = activation_backward(add(odds, noise), diff_dst, ActivationKind::kSigmoid);
  Tensor diff_open = activation(odds, ActivationKind::kSigmoid);
  for (double& p : diff_open.values) p = 2 * rate.weight * (p - rate.rate);
  return add(through, activation_backward(odds, diff_open, ActivationKind::kSigmoid));
}

}  // namespace lockstep::reference
