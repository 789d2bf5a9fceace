#include "tests/reference/attention.h"

#include <cmath>

namespace lockstep::reference {
namespace {

/// One head of one image of src [N,3C,H,W].
struct Head {
  const Tensor& src;
  std::int64_t image, first, channels;  // of the queries; channels of all heads

  std::int64_t pixels() const { return src.dim(2) * src.dim(3); }
  /// Where channel `c` of queries (part 0), keys (1) or values (2) is at pixel `p`.
  std::int64_t at(std::int64_t part, std::int64_t c, std::int64_t p) const {
    return (image * src.dim(1) + part * channels + first + c) * pixels() + p;
  }
};

template <class Visit>
void for_each_head(const Tensor& src, int heads, Visit visit) {
  require(src.dim(1) % (3 * heads) == 0, "attention of " + dims_text(src));
  const std::int64_t channels = src.dim(1) / 3;
  for (std::int64_t n = 0; n < src.dim(0); ++n)
    for (int h = 0; h < heads; ++h) visit(Head{src, n, h * channels / heads, channels});
}

/// What pixel `q` gives to each of the others.
std::vector<double> shares_of(const Head& head, std::int64_t size, std::int64_t q) {
  std::vector<double> shares;
  double sum = 0;
  for (std::int64_t p = 0; p < head.pixels(); ++p) {
    double score = 0;
    for (std::int64_t c = 0; c < size; ++c)
      score += head.src[head.at(0, c, q)] * head.src[head.at(1, c, p)];
    shares.push_back(std::exp(score / std::sqrt(static_cast<double>(size))));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

}  // namespace

Tensor attention(const Tensor& src, int heads) {
  Tensor dst = make_tensor({src.dim(0), src.dim(1) / 3, src.dim(2), src.dim(3)});
  const std::int64_t size = dst.dim(1) / heads;
  for_each_head(src, heads, [&](const Head& head) {
    for (std::int64_t q = 0; q < head.pixels(); ++q) {
      const std::vector<double> shares = shares_of(head, size, q);
      for (std::int64_t c = 0; c < size; ++c)
        for (std::int64_t p = 0; p < head.pixels(); ++p)
          dst[(head.image * dst.dim(1) + head.first + c) * head.pixels() + q] +=
              shares[static_cast<std::size_t>(p)] * src[head.at(2, c, p)];
    }
  });
  return dst;
}

Tensor attention_backward(const Tensor& src, const Tensor& diff_dst, int heads) {
  Tensor diff_src = make_tensor(src.dims);
  const std::int64_t channels = src.dim(1) / 3, size = channels / heads;
  const double scale = 1 / std::sqrt(static_cast<double>(size));
  for_each_head(src, heads, [&](const Head& head) {
    const std::int64_t pixels = head.pixels();
    for (std::int64_t q = 0; q < pixels; ++q) {
      const std::vector<double> shares = shares_of(head, size, q);
      std::vector<double> diff_shares(shares.size(), 0.0);
      double mean = 0;
      for (std::int64_t p = 0; p < pixels; ++p) {
        const auto i = static_cast<std::size_t>(p);
        for (std::int64_t c = 0; c < size; ++c) {
          const double diff = diff_dst[(head.image * channels + head.first + c) * pixels + q];
          diff_shares[i] += diff * src[head.at(2, c, p)];
          diff_src[head.at(2, c, p)] += diff * shares[i];
        }
        mean += shares[i] * diff_shares[i];
      }
      for (std::int64_t p = 0; p < pixels; ++p) {
        const auto i = static_cast<std::size_t>(p);
        const double diff_score = scale * shares[i] * (diff_shares[i] - mean);
        for (std::int64_t c = 0; c < size; ++c) {
          diff_src[head.at(0, c, q)] += diff_score * src[head.at(1, c, p)];
          diff_src[head.at(1, c, p)] += diff_score * src[head.at(0, c, q)];
        }
      }
    }
  });
  return diff_src;
}

Tensor position_embedding(const Tensor& src, const Tensor& weight) {
  require(weight.elements() * src.dim(0) == src.elements(),
          "position_embedding of " + dims_text(src) + " by " + dims_text(weight));
  Tensor dst = src;
  const std::int64_t channels = src.dim(1), pixels = src.dim(2) * src.dim(3);
  for (std::int64_t i = 0; i < dst.elements(); ++i)
    dst[i] += weight[i % pixels * channels + i / pixels % channels];
  return dst;
}

Tensor position_embedding_backward(const Tensor& weight, const Tensor& diff_dst) {
  Tensor diff = make_tensor(weight.dims);
  const std::int64_t channels = diff_dst.dim(1), pixels = diff_dst.dim(2) * diff_dst.dim(3);
  for (std::int64_t i = 0; i < diff_dst.elements(); ++i)
    diff[i % pixels * channels + i / pixels % channels] += diff_dst[i];
  return diff;
}

Tensor layer_scale(const Tensor& src, const Tensor& weight) {
  require(weight.elements() == src.dim(1), "layer_scale of " + dims_text(src));
  Tensor dst = src;
  const std::int64_t pixels = src.elements() / (src.dim(0) * src.dim(1));
  for (std::int64_t i = 0; i < dst.elements(); ++i) dst[i] *= weight[i / pixels % src.dim(1)];
  return dst;
}

LayerScaleGradients layer_scale_backward(const Tensor& src, const Tensor& weight,
                                         const Tensor& diff_dst) {
  LayerScaleGradients result{layer_scale(diff_dst, weight), make_tensor(weight.dims)};
  const std::int64_t pixels = src.elements() / (src.dim(0) * src.dim(1));
  for (std::int64_t i = 0; i < src.elements(); ++i)
    result.weight[i / pixels % src.dim(1)] += src[i] * diff_dst[i];
  return result;
}

}  // namespace lockstep::reference
