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
  require(gate.elements() == src.dim(0) * src.dim(1),
          "channel_scale of " + dims_text(src) + " by " + dims_text(gate));
  Tensor dst = src;
  const std::int64_t pixels = src.dim(2) * src.dim(3);
  for (std::int64_t i = 0; i < src.elements(); ++i) dst[i] *= gate[i / pixels];
  return dst;
}

ChannelScaleGradients channel_scale_backward(const Tensor& src, const Tensor& gate,
                                             const Tensor& diff_dst) {
  require_same(src, diff_dst, "channel_scale_backward");
  ChannelScaleGradients result{channel_scale(diff_dst, gate), make_tensor(gate.dims)};
  const std::int64_t pixels = src.dim(2) * src.dim(3);
  for (std::int64_t i = 0; i < src.elements(); ++i) result.gate[i / pixels] += src[i] * diff_dst[i];
  return result;
}

}  // namespace lockstep::reference
