#include "layers/gpu/batch_norm.h"

#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

constexpr int kReduceBlocks = 1024, kApplyBlocks = 8192;

RowChunks chunks_of(const NormShape& s, std::size_t element_bytes, int blocks) {
  const int wide = static_cast<int>(16 / element_bytes);
  return row_chunks(s.rows(), s.channels % wide == 0 ? s.channels / wide : s.channels, blocks);
}

/// A thread's place: V channels from `channel` on, rows [row, end) in steps of blockDim.y.
struct Place {
  int channel;
  std::int64_t row, end;
};

template <int V>
__device__ Place place(std::int64_t rows, std::int64_t rows_per_chunk) {
  const std::int64_t begin = blockIdx.y * rows_per_chunk;
  return {static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * V, begin + threadIdx.y,
          begin + rows_per_chunk < rows ? begin + rows_per_chunk : rows};
}

/// partial[chunk] = sums of two terms of each element over the chunk's rows, in double. Body::at gives the
/// terms of V channels of a row; rows of a thread in order, then threads in a fixed tree.
template <int V, class Body>
__global__ void sum_rows_kernel(std::int64_t rows, std::int64_t rows_per_chunk, int channels,
                                Body body, double* partial) {
  __shared__ double shared[2][kChunkThreads];
  const Place p = place<V>(rows, rows_per_chunk);
  double first[V] = {}, second[V] = {};
  if (p.channel < channels) {
    body.start(p.channel);
#pragma unroll 4
    for (std::int64_t row = p.row; row < p.end; row += blockDim.y)
      body.at(static_cast<std::size_t>(row) * channels + p.channel, first, second);
  }
  const unsigned own = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    shared[0][own] = first[v];
    shared[1][own] = second[v];
    __syncthreads();
    for (unsigned half = blockDim.y / 2; half > 0; half /= 2) {
      if (threadIdx.y < half) {
        shared[0][own] += shared[0][own + half * blockDim.x];
        shared[1][own] += shared[1][own + half * blockDim.x];
      }
      __syncthreads();
    }
    if (threadIdx.y == 0 && p.channel < channels) {
      double* to = partial + static_cast<std::size_t>(blockIdx.y) * 2 * channels;
      to[p.channel + v] = shared[0][threadIdx.x];
      to[channels + p.channel + v] = shared[1][threadIdx.x];
    }
    __syncthreads();
  }
}

template <class T, int V>
struct StatisticsBody {
  const T* src;
  __device__ void start(int) {}
  __device__ void at(std::size_t i, double* first, double* second) const {
    const Pack<T, V> x = load<V>(src + i);
#pragma unroll
    for (int v = 0; v < V; ++v) {
      const double d = widened(x.at[v]);
      first[v] += d;
      second[v] += d * d;
    }
  }
};

template <class T, int V>
struct BackwardBody {
  NormBackward<T> t;
  const float* mean;
  float own_mean[V];
  __device__ void start(int channel) {
#pragma unroll
    for (int v = 0; v < V; ++v) own_mean[v] = mean[channel + v];
  }
  __device__ void at(std::size_t i, double* first, double* second) const {
    Pack<T, V> g = load<V>(t.diff_dst + i);
    const Pack<T, V> x = load<V>(t.src + i);
    const Pack<T, V> other = t.diff_dst2 ? load<V>(t.diff_dst2 + i) : g;
    const Pack<T, V> y = t.dst ? load<V>(t.dst + i) : g;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float value = widened(g.at[v]) + (t.diff_dst2 ? widened(other.at[v]) : 0.0f);
      if (t.dst && !(widened(y.at[v]) > 0)) value = 0;
      g.at[v] = narrowed<T>(value);
      value = widened(g.at[v]);
      first[v] += value;
      second[v] += static_cast<double>(value) * (widened(x.at[v]) - own_mean[v]);
    }
    if (t.masked) store<V>(t.masked + i, g);
  }
};

template <class T, class MakeBody>
void sum_rows(const Queue& queue, const char* name, const NormShape& s, double* partial,
              MakeBody make_body) {
  const RowChunks c = chunks_of(s, sizeof(T), kReduceBlocks);
  const dim3 grid(c.column_blocks, c.chunks), block(c.columns, kChunkThreads / c.columns);
  with_vector<T>(s.channels, [&](auto width) {
    constexpr int V = decltype(width)::value;
    sum_rows_kernel<V><<<grid, block, 0, queue.stream()>>>(s.rows(), c.rows_per_chunk, s.channels,
                                                           make_body(width), partial);
  });
  check_launch(name);
}

/// Sum over chunks of one of 2C values: 8 threads take every eighth chunk, then a fixed order.
__device__ double chunk_sum(const double* partial, int chunks, int count, int i,
                            double (*shared)[32]) {
  double own = 0;
  if (i < count)
#pragma unroll 8
    for (int c = threadIdx.y; c < chunks; c += 8)
      own += partial[static_cast<std::size_t>(c) * count + i];
  shared[threadIdx.y][threadIdx.x] = own;
  __syncthreads();
  double sum = 0;
  for (int y = 0; y < 8; ++y) sum += shared[y][threadIdx.x];
  return sum;
}

struct CombineTarget {
  double* sums;
  const float* affine;
  float *gamma_gradient, *beta_gradient;
  bool first;
};

__global__ void combine_kernel(const double* partial, int chunks, int channels, int images,
                               CombineTarget to) {
  __shared__ double shared[8][32];
  const int count = 2 * channels, i = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  const double sum = chunk_sum(partial, images > 0 ? chunks : 0, count, i, shared);
  if (threadIdx.y != 0) return;
  if (i == 0) to.sums[count] = images;
  if (i >= count) return;
  to.sums[i] = sum;
  if (!to.gamma_gradient) return;
  const int c = i < channels ? i : i - channels;
  float* gradient = (i < channels ? to.beta_gradient : to.gamma_gradient) + c;
  const double value = i < channels ? sum : images > 0 ? sum * to.affine[3 * channels + c] : 0.0;
  *gradient = to.first ? static_cast<float>(value) : *gradient + static_cast<float>(value);
}

template <class T>
void combine(const Queue& queue, const NormShape& s, const double* partial,
             const CombineTarget& to) {
  const RowChunks c = chunks_of(s, sizeof(T), kReduceBlocks);
  combine_kernel<<<(2 * s.channels + 31) / 32, dim3(32, 8), 0, queue.stream()>>>(
      partial, c.chunks, s.channels, s.images, to);
  check_launch("batch norm combine");
}

template <class T, int V>
__global__ void apply_kernel(std::int64_t rows, std::int64_t rows_per_chunk, int channels,
                             const T* src, const T* residual, const float* affine, bool relu,
                             T* dst) {
  const Place p = place<V>(rows, rows_per_chunk);
  if (p.channel >= channels) return;
  float scale[V], shift[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    scale[v] = affine[p.channel + v];
    shift[v] = affine[channels + p.channel + v];
  }
#pragma unroll 4
  for (std::int64_t row = p.row; row < p.end; row += blockDim.y) {
    const std::size_t i = static_cast<std::size_t>(row) * channels + p.channel;
    Pack<T, V> x = load<V>(src + i);
    const Pack<T, V> r = residual ? load<V>(residual + i) : x;
#pragma unroll
    for (int v = 0; v < V; ++v) {
      float y = widened(x.at[v]) * scale[v] + shift[v];
      if (residual) y += widened(r.at[v]);
      if (relu && y < 0) y = 0;
      x.at[v] = narrowed<T>(y);
    }
    store<V>(dst + i, x);
  }
}

template <class T, int V>
__global__ void backward_data_kernel(std::int64_t rows, std::int64_t rows_per_chunk, int channels,
                                     const T* masked, const T* src, const float* coefficients,
                                     T* diff_src) {
  const Place p = place<V>(rows, rows_per_chunk);
  if (p.channel >= channels) return;
  float a[V], b[V], k[V];
#pragma unroll
  for (int v = 0; v < V; ++v) {
    a[v] = coefficients[p.channel + v];
    b[v] = coefficients[channels + p.channel + v];
    k[v] = coefficients[2 * channels + p.channel + v];
  }
#pragma unroll 4
  for (std::int64_t row = p.row; row < p.end; row += blockDim.y) {
    const std::size_t i = static_cast<std::size_t>(row) * channels + p.channel;
    Pack<T, V> g = load<V>(masked + i);
    const Pack<T, V> x = load<V>(src + i);
#pragma unroll
    for (int v = 0; v < V; ++v)
      g.at[v] = narrowed<T>(a[v] * widened(g.at[v]) + (b[v] * widened(x.at[v]) + k[v]));
    store<V>(diff_src + i, g);
  }
}

}  // namespace

std::size_t norm_partial_bytes(const NormShape& shape, std::size_t element_bytes) {
  const RowChunks c = chunks_of(shape, element_bytes, kReduceBlocks);
  return static_cast<std::size_t>(c.chunks) * 2 * shape.channels * sizeof(double);
}

template <class T>
void norm_statistics(const Queue& queue, const NormShape& s, const T* src, double* partial) {
  sum_rows<T>(queue, "batch norm statistics", s, partial,
              [&](auto width) { return StatisticsBody<T, decltype(width)::value>{src}; });
}

template <class T>
void norm_combine(const Queue& queue, const NormShape& s, const double* partial, double* sums) {
  combine<T>(queue, s, partial, {sums, nullptr, nullptr, nullptr, true});
}

void norm_finish(const Queue& queue, const BatchNorm& norm, const NormShape& s, const double* sums,
                 const NormParameters& parameters, bool update_running, float* affine) {
  const int channels = s.channels, pixels = s.pixels;
  for_each(queue, "batch norm finish", channels, [=] __device__(std::size_t c) {
    const double count = sums[2 * channels] * pixels;
    if (count == 0) return;
    const NormAffine a = norm_affine(sums[c], sums[channels + c], count, parameters.gamma[c],
                                     parameters.beta[c], norm.eps);
    affine[c] = static_cast<float>(a.scale);
    affine[channels + c] = static_cast<float>(a.shift);
    affine[2 * channels + c] = static_cast<float>(a.mean);
    affine[3 * channels + c] = static_cast<float>(a.inverse_std);
    if (!update_running || count <= 1) return;
    float &mean = parameters.running_mean[c], &var = parameters.running_var[c];
    mean = norm_running(mean, a.mean, norm.momentum);
    var = norm_running(var, a.variance * count / (count - 1), norm.momentum);
  });
}

void norm_from_running(const Queue& queue, const BatchNorm& norm, int channels,
                       const NormParameters& parameters, float* affine) {
  for_each(queue, "batch norm running", channels, [=] __device__(std::size_t c) {
    const double mean = parameters.running_mean[c];
    const double inverse = 1.0 / sqrt(static_cast<double>(parameters.running_var[c]) + norm.eps);
    const double scale = parameters.gamma[c] * inverse;
    affine[c] = static_cast<float>(scale);
    affine[channels + c] = static_cast<float>(parameters.beta[c] - mean * scale);
  });
}

template <class T>
void norm_apply(const Queue& queue, const NormShape& s, const T* src, const T* residual,
                const float* affine, bool relu, T* dst) {
  const RowChunks c = chunks_of(s, sizeof(T), kApplyBlocks);
  const dim3 grid(c.column_blocks, c.chunks), block(c.columns, kChunkThreads / c.columns);
  with_vector<T>(s.channels, [&](auto width) {
    apply_kernel<T, decltype(width)::value><<<grid, block, 0, queue.stream()>>>(
        s.rows(), c.rows_per_chunk, s.channels, src, residual, affine, relu, dst);
  });
  check_launch("batch norm apply");
}

template <class T>
void norm_backward_sums(const Queue& queue, const NormShape& s, const NormBackward<T>& tensors,
                        double* partial) {
  sum_rows<T>(queue, "batch norm backward sums", s, partial, [&](auto width) {
    return BackwardBody<T, decltype(width)::value>{tensors, tensors.affine + 2 * s.channels, {}};
  });
}

template <class T>
void norm_combine_backward(const Queue& queue, const NormShape& s, const double* partial,
                           const float* affine, bool first, double* sums, float* gamma_gradient,
                           float* beta_gradient) {
  combine<T>(queue, s, partial, {sums, affine, gamma_gradient, beta_gradient, first});
}

void norm_finish_backward(const Queue& queue, const NormShape& s, const double* sums,
                          const float* gamma, const float* affine, float* coefficients) {
  const int channels = s.channels, pixels = s.pixels;
  for_each(queue, "batch norm finish backward", channels, [=] __device__(std::size_t c) {
    const double count = sums[2 * channels] * pixels;
    if (count == 0) return;
    const NormCoefficients n =
        norm_coefficients(sums[c], sums[channels + c], count, gamma[c], affine[2 * channels + c],
                          affine[3 * channels + c]);
    coefficients[c] = static_cast<float>(n.a);
    coefficients[channels + c] = static_cast<float>(n.b);
    coefficients[2 * channels + c] = static_cast<float>(n.k);
  });
}

template <class T>
void norm_backward_data(const Queue& queue, const NormShape& s, const T* masked, const T* src,
                        const float* coefficients, T* diff_src) {
  const RowChunks c = chunks_of(s, sizeof(T), kApplyBlocks);
  const dim3 grid(c.column_blocks, c.chunks), block(c.columns, kChunkThreads / c.columns);
  with_vector<T>(s.channels, [&](auto width) {
    backward_data_kernel<T, decltype(width)::value><<<grid, block, 0, queue.stream()>>>(
        s.rows(), c.rows_per_chunk, s.channels, masked, src, coefficients, diff_src);
  });
  check_launch("batch norm backward data");
}

#define LOCKSTEP_STORED(T)                                                                         \
  template void norm_statistics(const Queue&, const NormShape&, const T*, double*);                \
  template void norm_combine<T>(const Queue&, const NormShape&, const double*, double*);           \
  template void norm_apply(const Queue&, const NormShape&, const T*, const T*, const float*, bool, \
                           T*);                                                                    \
  template void norm_backward_sums(const Queue&, const NormShape&, const NormBackward<T>&,         \
                                   double*);                                                       \
  template void norm_combine_backward<T>(const Queue&, const NormShape&, const double*,            \
                                         const float*, bool, double*, float*, float*);             \
  template void norm_backward_data(const Queue&, const NormShape&, const T*, const T*,             \
                                   const float*, T*);
LOCKSTEP_STORED(float)
LOCKSTEP_STORED(Bf16)

}  // namespace lockstep::gpu
