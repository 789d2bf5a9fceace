#pragma once
#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define LOCKSTEP_HOST_DEVICE __host__ __device__
#else
#define LOCKSTEP_HOST_DEVICE
#endif

namespace lockstep::gpu {

// What kernels compute for one channel, element or index: one text for host and device, tested on the
// host by tests/layers/gpu_formulas_test.cpp. Same formulas as layers/cpu.

/// Batch norm's factors of one channel: dst = scale*src + shift.
struct NormAffine {
  double mean = 0, variance = 0, inverse_std = 0, scale = 0, shift = 0;
};

/// From the sums over all ranks; `count` elements, not 0. The variance is biased; rounding below 0 is 0.
LOCKSTEP_HOST_DEVICE inline NormAffine norm_affine(double sum, double sum_squares, double count,
                                                   float gamma, float beta, float eps) {
  NormAffine a;
  a.mean = sum / count;
  a.variance = sum_squares / count - a.mean * a.mean;
  if (a.variance < 0) a.variance = 0;
  a.inverse_std = 1.0 / std::sqrt(a.variance + static_cast<double>(eps));
  a.scale = gamma * a.inverse_std;
  a.shift = beta - a.mean * a.scale;
  return a;
}

/// (1 - momentum) * running + momentum * batch.
LOCKSTEP_HOST_DEVICE inline float norm_running(float running, double batch, float momentum) {
  const double m = momentum;
  return static_cast<float>((1 - m) * static_cast<double>(running) + m * batch);
}

/// diff_src = a*g + b*src + k.
struct NormCoefficients {
  double a = 0, b = 0, k = 0;
};

/// dx = gamma/std * (g - mean(g) - xhat * mean(g*xhat)), from sum g and sum g*(x - mean).
LOCKSTEP_HOST_DEVICE inline NormCoefficients norm_coefficients(double sum_g, double sum_gx,
                                                               double count, double gamma,
                                                               double mean, double inverse_std) {
  NormCoefficients n;
  n.a = gamma * inverse_std;
  n.b = -n.a * inverse_std * inverse_std * sum_gx / count;
  n.k = -n.a * sum_g / count - n.b * mean;
  return n;
}

struct SgdOptions {
  float learning_rate = 0, momentum = 0, weight_decay = 0;
  bool nesterov = false;
};

/// One element of torch.optim.SGD's update; `scale` clips the gradient.
LOCKSTEP_HOST_DEVICE inline void sgd_element(const SgdOptions& o, float scale, float gradient,
                                             float& velocity, float& weight) {
  const float g = gradient * scale + o.weight_decay * weight;
  velocity = o.momentum * velocity + g;
  weight -= o.learning_rate * (o.nesterov ? g + o.momentum * velocity : velocity);
}

/// Cross entropy with smoothing s, from log(sum(exp(z))), z[label], and sum over classes of (log_total - z).
LOCKSTEP_HOST_DEVICE inline double smoothed_loss(double log_total, double label_logit, double all,
                                                 double smoothing, int classes) {
  return (1 - smoothing) * (log_total - label_logit) + smoothing * all / classes;
}

/// The loss's gradient of one logit.
LOCKSTEP_HOST_DEVICE inline float loss_gradient(double logit, double log_total, bool is_label,
                                                double smoothing, int classes, double divisor) {
  const double target = smoothing / classes + (is_label ? 1.0 - smoothing : 0.0);
  return static_cast<float>((std::exp(logit - log_total) - target) / divisor);
}

/// Geometry of a pooling, nhwc.
struct PoolShape {
  int images = 0, channels = 0, height = 0, width = 0, out_height = 0, out_width = 0;
  int kernel = 1, stride = 1, padding = 0;
};

struct IndexRange {
  int begin = 0, end = 0;
};

/// Taps of the window of output `out` that lie inside an image of `size`.
LOCKSTEP_HOST_DEVICE inline IndexRange window_taps(int out, int size, const PoolShape& p) {
  const int start = out * p.stride - p.padding;
  return {start < 0 ? -start : 0, start + p.kernel > size ? size - start : p.kernel};
}

/// Outputs (of `outputs`) whose window covers input `in`.
LOCKSTEP_HOST_DEVICE inline IndexRange windows_of(int in, int outputs, const PoolShape& p) {
  const int last = (in + p.padding) / p.stride, before = in + p.padding - p.kernel;
  const int first = before < 0 ? 0 : before / p.stride + 1;
  return {first, last + 1 < outputs ? last + 1 : outputs};
}

/// How a [rows, channels] matrix is cut for a sum over rows: from the shape alone, so that the order of
/// additions, and so the bits, are the same on every device.
struct RowChunks {
  int columns = 0;  // threads along channels, a power of two up to 32
  int column_blocks = 0, chunks = 0;
  std::int64_t rows_per_chunk = 0;
};

constexpr int kChunkThreads = 256;

LOCKSTEP_HOST_DEVICE inline RowChunks row_chunks(std::int64_t rows, int vectors, int blocks) {
  RowChunks r;
  r.columns = 1;
  while (r.columns < 32 && r.columns < vectors) r.columns *= 2;
  r.column_blocks = (vectors + r.columns - 1) / r.columns;
  const std::int64_t lines = kChunkThreads / r.columns;
  std::int64_t chunks = (rows + 4 * lines - 1) / (4 * lines);
  const std::int64_t limit = blocks / r.column_blocks > 1 ? blocks / r.column_blocks : 1;
  if (chunks > limit) chunks = limit;
  if (chunks < 1) chunks = 1;
  r.rows_per_chunk = (rows + chunks - 1) / chunks;
  if (r.rows_per_chunk < 1) r.rows_per_chunk = 1;
  r.chunks = static_cast<int>((rows + r.rows_per_chunk - 1) / r.rows_per_chunk);
  if (r.chunks < 1) r.chunks = 1;
  return r;
}

}  // namespace lockstep::gpu
