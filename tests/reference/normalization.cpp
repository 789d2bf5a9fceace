#include "tests/reference/normalization.h"

#include <algorithm>
#include <cmath>

namespace lockstep::reference {
namespace {

/// Which set each element of src belongs to, and which channel: arrays as long as src.
struct Sets {
  std::int64_t count = 0;
  std::vector<std::size_t> set, channel;
};

template <class SetOf>
Sets make_sets(const Tensor& src, std::int64_t count, SetOf set_of) {
  Sets sets{count, {}, {}};
  for (std::int64_t n = 0; n < src.dim(0); ++n)
    for (std::int64_t c = 0; c < src.dim(1); ++c)
      for (std::int64_t pixel = 0; pixel < src.dim(2) * src.dim(3); ++pixel) {
        sets.set.push_back(static_cast<std::size_t>(set_of(n, c, pixel)));
        sets.channel.push_back(static_cast<std::size_t>(c));
      }
  return sets;
}

Sets batch_sets(const Tensor& src) {
  return make_sets(src, src.dim(1), [](auto, auto c, auto) { return c; });
}

Sets group_sets(const Tensor& src, int groups) {
  require(groups > 0 && src.dim(1) % groups == 0,
          "group_norm of " + dims_text(src) + " in " + std::to_string(groups) + " groups");
  const std::int64_t per_group = src.dim(1) / groups;
  return make_sets(src, src.dim(0) * groups,
                   [=](auto n, auto c, auto) { return n * groups + c / per_group; });
}

Sets pixel_sets(const Tensor& src) {
  const std::int64_t pixels = src.dim(2) * src.dim(3);
  return make_sets(src, src.dim(0) * pixels,
                   [=](auto n, auto, auto pixel) { return n * pixels + pixel; });
}

/// Mean of `values` over each set; 0 for a set without elements.
std::vector<double> set_means(const Sets& sets, const std::vector<double>& values) {
  std::vector<double> sum(static_cast<std::size_t>(sets.count));
  std::vector<double> count(sum.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    sum[sets.set[i]] += values[i];
    count[sets.set[i]] += 1;
  }
  for (std::size_t s = 0; s < sum.size(); ++s) sum[s] /= std::max(count[s], 1.0);
  return sum;
}

void require_affine(const Tensor& src, const Tensor& gamma) {
  require(src.dims.size() == 4 && gamma.elements() == src.dim(1),
          "a norm of " + dims_text(src) + " with gamma or beta " + dims_text(gamma));
}

/// (src - mean) / sqrt(variance + eps).
std::vector<double> normalize(const Tensor& src, const Sets& sets, const std::vector<double>& mean,
                              const std::vector<double>& variance, double eps) {
  std::vector<double> normalized(src.values.size());
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const std::size_t s = sets.set[i];
    normalized[i] = (src.values[i] - mean[s]) / std::sqrt(variance[s] + eps);
  }
  return normalized;
}

Tensor affine(const Tensor& src, const Sets& sets, const std::vector<double>& normalized,
              const Tensor& gamma, const Tensor& beta) {
  Tensor dst = make_tensor(src.dims);
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const std::size_t c = sets.channel[i];
    dst.values[i] = gamma.values[c] * normalized[i] + beta.values[c];
  }
  return dst;
}

void fill_statistics(const Tensor& src, const Sets& sets, NormResult& result) {
  result.mean = set_means(sets, src.values);
  std::vector<double> squares(src.values.size());
  for (std::size_t i = 0; i < squares.size(); ++i)
    squares[i] = std::pow(src.values[i] - result.mean[sets.set[i]], 2);
  result.variance = set_means(sets, squares);
}

NormResult forward(const Tensor& src, const Sets& sets, const Tensor& gamma, const Tensor& beta,
                   double eps) {
  require_affine(src, gamma);
  require_affine(src, beta);
  NormResult result;
  fill_statistics(src, sets, result);
  const auto normalized = normalize(src, sets, result.mean, result.variance, eps);
  result.dst = affine(src, sets, normalized, gamma, beta);
  return result;
}

/// Gradients of gamma and beta: sums over each channel of diff_dst * normalized and of diff_dst.
NormGradients affine_gradients(const Tensor& diff_dst, const Sets& sets,
                               const std::vector<double>& normalized, const Tensor& gamma) {
  NormGradients result{make_tensor(diff_dst.dims), make_tensor(gamma.dims),
                       make_tensor(gamma.dims)};
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    result.gamma.values[sets.channel[i]] += diff_dst.values[i] * normalized[i];
    result.beta.values[sets.channel[i]] += diff_dst.values[i];
  }
  return result;
}

/// With g = gamma * diff_dst:  diff_src = (g - mean(g) - normalized * mean(g * normalized)) / std.
NormGradients backward(const Tensor& src, const Sets& sets, const Tensor& gamma,
                       const Tensor& diff_dst, double eps) {
  require_affine(src, gamma);
  require(src.dims == diff_dst.dims, "a norm's diff_dst is " + dims_text(diff_dst));
  NormResult statistics;
  fill_statistics(src, sets, statistics);
  const auto normalized = normalize(src, sets, statistics.mean, statistics.variance, eps);
  NormGradients result = affine_gradients(diff_dst, sets, normalized, gamma);

  std::vector<double> g(src.values.size()), product(src.values.size());
  for (std::size_t i = 0; i < g.size(); ++i) {
    g[i] = gamma.values[sets.channel[i]] * diff_dst.values[i];
    product[i] = g[i] * normalized[i];
  }
  const auto mean_g = set_means(sets, g);
  const auto mean_product = set_means(sets, product);
  for (std::size_t i = 0; i < g.size(); ++i) {
    const std::size_t s = sets.set[i];
    result.src.values[i] = (g[i] - mean_g[s] - normalized[i] * mean_product[s]) /
                           std::sqrt(statistics.variance[s] + eps);
  }
  return result;
}

}  // namespace

NormResult batch_norm(const Tensor& src, const Tensor& gamma, const Tensor& beta, double eps) {
  return forward(src, batch_sets(src), gamma, beta, eps);
}

NormGradients batch_norm_backward(const Tensor& src, const Tensor& gamma, const Tensor& diff_dst,
                                  double eps) {
  return backward(src, batch_sets(src), gamma, diff_dst, eps);
}

void update_running_statistics(const NormResult& batch, std::int64_t count, double momentum,
                               std::vector<double>& running_mean,
                               std::vector<double>& running_variance) {
  if (count == 0) return;
  const double unbias = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1;
  for (std::size_t c = 0; c < batch.mean.size(); ++c) {
    running_mean.at(c) += momentum * (batch.mean[c] - running_mean[c]);
    running_variance.at(c) += momentum * (batch.variance[c] * unbias - running_variance[c]);
  }
}

Tensor batch_norm_inference(const Tensor& src, const Tensor& gamma, const Tensor& beta,
                            const std::vector<double>& running_mean,
                            const std::vector<double>& running_variance, double eps) {
  require_affine(src, gamma);
  require_affine(src, beta);
  const Sets sets = batch_sets(src);
  const auto normalized = normalize(src, sets, running_mean, running_variance, eps);
  return affine(src, sets, normalized, gamma, beta);
}

NormGradients batch_norm_inference_backward(const Tensor& src, const Tensor& gamma,
                                            const Tensor& diff_dst,
                                            const std::vector<double>& running_mean,
                                            const std::vector<double>& running_variance,
                                            double eps) {
  require_affine(src, gamma);
  const Sets sets = batch_sets(src);
  const auto normalized = normalize(src, sets, running_mean, running_variance, eps);
  NormGradients result = affine_gradients(diff_dst, sets, normalized, gamma);
  for (std::size_t i = 0; i < normalized.size(); ++i) {
    const std::size_t c = sets.channel[i];
    result.src.values[i] =
        gamma.values[c] * diff_dst.values[i] / std::sqrt(running_variance[c] + eps);
  }
  return result;
}

NormResult group_norm(const Tensor& src, const Tensor& gamma, const Tensor& beta, int groups,
                      double eps) {
  return forward(src, group_sets(src, groups), gamma, beta, eps);
}

NormGradients group_norm_backward(const Tensor& src, const Tensor& gamma, const Tensor& diff_dst,
                                  int groups, double eps) {
  return backward(src, group_sets(src, groups), gamma, diff_dst, eps);
}

NormResult layer_norm_image(const Tensor& src, const Tensor& gamma, const Tensor& beta,
                            double eps) {
  return group_norm(src, gamma, beta, 1, eps);
}

NormGradients layer_norm_image_backward(const Tensor& src, const Tensor& gamma,
                                        const Tensor& diff_dst, double eps) {
  return group_norm_backward(src, gamma, diff_dst, 1, eps);
}

NormResult layer_norm_pixel(const Tensor& src, const Tensor& gamma, const Tensor& beta,
                            double eps) {
  return forward(src, pixel_sets(src), gamma, beta, eps);
}

NormGradients layer_norm_pixel_backward(const Tensor& src, const Tensor& gamma,
                                        const Tensor& diff_dst, double eps) {
  return backward(src, pixel_sets(src), gamma, diff_dst, eps);
}

}  // namespace lockstep::reference
