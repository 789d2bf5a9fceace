#include "tests/reference/classifier.h"

#include <algorithm>
#include <cmath>

namespace lockstep::reference {
namespace {

void require_linear(const Tensor& src, const Tensor& weight) {
  require(weight.dims.size() == 2 && src.elements() == src.dim(0) * weight.dim(1),
          "linear of " + dims_text(src) + " with weight " + dims_text(weight));
}

/// log(softmax(logits)), shifted by the largest logit so that exp does not overflow.
std::vector<double> log_softmax(const Tensor& logits, std::int64_t n) {
  std::vector<double> row;
  for (std::int64_t k = 0; k < logits.dim(1); ++k) row.push_back(logits.at(n, k));
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double v : row) sum += std::exp(v - largest);
  for (double& v : row) v -= largest + std::log(sum);
  return row;
}

}  // namespace

Tensor linear(const Tensor& src, const Tensor& weight, const Tensor& bias) {
  require_linear(src, weight);
  const std::int64_t features = weight.dim(1);
  Tensor dst = make_tensor({src.dim(0), weight.dim(0)});
  for (std::int64_t n = 0; n < dst.dim(0); ++n)
    for (std::int64_t k = 0; k < dst.dim(1); ++k) {
      if (!bias.values.empty()) dst.at(n, k) = bias[k];
      for (std::int64_t f = 0; f < features; ++f)
        dst.at(n, k) += src[n * features + f] * weight.at(k, f);
    }
  return dst;
}

LinearGradients linear_backward(const Tensor& src, const Tensor& weight, const Tensor& diff_dst) {
  require_linear(src, weight);
  const std::int64_t features = weight.dim(1);
  LinearGradients result{make_tensor(src.dims), make_tensor(weight.dims),
                         make_tensor({weight.dim(0)})};
  for (std::int64_t n = 0; n < diff_dst.dim(0); ++n)
    for (std::int64_t k = 0; k < diff_dst.dim(1); ++k) {
      const double diff = diff_dst.at(n, k);
      result.bias[k] += diff;
      for (std::int64_t f = 0; f < features; ++f) {
        result.src[n * features + f] += diff * weight.at(k, f);
        result.weight.at(k, f) += diff * src[n * features + f];
      }
    }
  return result;
}

CrossEntropy softmax_cross_entropy(const Tensor& logits, const std::vector<int>& labels,
                                   double smoothing, double divisor) {
  require(logits.dims.size() == 2 && static_cast<std::int64_t>(labels.size()) == logits.dim(0),
          "softmax_cross_entropy of " + dims_text(logits) + " with " +
              std::to_string(labels.size()) + " labels");
  const std::int64_t classes = logits.dim(1);
  CrossEntropy result{0, make_tensor(logits.dims)};
  for (std::int64_t n = 0; n < logits.dim(0); ++n) {
    const int label = labels[static_cast<std::size_t>(n)];
    require(label >= 0 && label < classes, "label " + std::to_string(label));
    const std::vector<double> log_probability = log_softmax(logits, n);
    for (std::int64_t k = 0; k < classes; ++k) {
      const double target =
          (k == label ? 1 - smoothing : 0) + smoothing / static_cast<double>(classes);
      const double log_p = log_probability[static_cast<std::size_t>(k)];
      result.loss -= target * log_p / divisor;
      result.diff_src.at(n, k) = (std::exp(log_p) - target) / divisor;
    }
  }
  return result;
}

CrossEntropy pixel_cross_entropy(const Tensor& logits, const std::vector<int>& labels,
                                 double smoothing, double divisor) {
  const std::int64_t classes = logits.dim(1), height = logits.dim(2), width = logits.dim(3);
  require(static_cast<std::int64_t>(labels.size()) == logits.dim(0) * height * width,
          "pixel_cross_entropy of " + dims_text(logits) + " with " + std::to_string(labels.size()) +
              " labels");
  CrossEntropy result{0, make_tensor(logits.dims)};
  std::size_t at = 0;
  for (std::int64_t n = 0; n < logits.dim(0); ++n)
    for (std::int64_t h = 0; h < height; ++h)
      for (std::int64_t w = 0; w < width; ++w) {
        const int label = labels[at++];
        if (label < 0) continue;
        Tensor pixel = make_tensor({1, classes});
        for (std::int64_t c = 0; c < classes; ++c) pixel[c] = logits.at(n, c, h, w);
        const CrossEntropy one = softmax_cross_entropy(pixel, {label}, smoothing, divisor);
        result.loss += one.loss;
        for (std::int64_t c = 0; c < classes; ++c) result.diff_src.at(n, c, h, w) = one.diff_src[c];
      }
  return result;
}

}  // namespace lockstep::reference
