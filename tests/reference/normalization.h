#pragma once
#include "tests/reference/tensor.h"

namespace lockstep::reference {

// Every norm here is dst = gamma[c] * (src - mean) / sqrt(variance + eps) + beta[c] with mean and
// biased variance over a set of elements of src [N,C,H,W]; they differ in the sets only.

struct NormResult {
  Tensor dst;
  std::vector<double> mean, variance;  // one per set; the variance is biased (divided by the count)
};

struct NormGradients {
  Tensor src, gamma, beta;
};

/// Batch norm in training: a set is a channel, over N,H,W.
NormResult batch_norm(const Tensor& src, const Tensor& gamma, const Tensor& beta, double eps);
NormGradients batch_norm_backward(const Tensor& src, const Tensor& gamma, const Tensor& diff_dst,
                                  double eps);

/// running = (1 - momentum) * running + momentum * batch, the batch's variance made unbiased by
/// count/(count - 1), count = N*H*W. A count of 1 takes its variance, 0, as it is; a count of 0
/// changes nothing.
void update_running_statistics(const NormResult& batch, std::int64_t count, double momentum,
                               std::vector<double>& running_mean,
                               std::vector<double>& running_variance);

/// Batch norm in evaluation: mean and variance are given. Its backward takes them as constants.
Tensor batch_norm_inference(const Tensor& src, const Tensor& gamma, const Tensor& beta,
                            const std::vector<double>& running_mean,
                            const std::vector<double>& running_variance, double eps);
NormGradients batch_norm_inference_backward(const Tensor& src, const Tensor& gamma,
                                            const Tensor& diff_dst,
                                            const std::vector<double>& running_mean,
                                            const std::vector<double>& running_variance,
                                            double eps);

/// Group norm: a set is an image's group of C/groups neighbouring channels, over C/groups,H,W.
NormResult group_norm(const Tensor& src, const Tensor& gamma, const Tensor& beta, int groups,
                      double eps);
NormGradients group_norm_backward(const Tensor& src, const Tensor& gamma, const Tensor& diff_dst,
                                  int groups, double eps);

/// Layer norm over C,H,W of each image: group norm with one group.
NormResult layer_norm_image(const Tensor& src, const Tensor& gamma, const Tensor& beta, double eps);
NormGradients layer_norm_image_backward(const Tensor& src, const Tensor& gamma,
                                        const Tensor& diff_dst, double eps);

/// Layer norm over C at each pixel of each image ("channels first", as in ConvNeXt).
NormResult layer_norm_pixel(const Tensor& src, const Tensor& gamma, const Tensor& beta, double eps);
NormGradients layer_norm_pixel_backward(const Tensor& src, const Tensor& gamma,
                                        const Tensor& diff_dst, double eps);

}  // namespace lockstep::reference
