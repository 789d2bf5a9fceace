#include "layers/gpu/pool.h"

#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

struct Pixel {
  int image, y, x, channel;
};

/// Thread i's V channels of a pixel of an image of height x width.
template <int V>
__device__ Pixel pixel_of(std::size_t i, int height, int width, int channels) {
  const unsigned vectors = channels / V;
  const unsigned c = i % vectors;
  std::size_t rest = i / vectors;
  const int x = static_cast<int>(rest % width);
  rest /= width;
  return {static_cast<int>(rest / height), static_cast<int>(rest % height), x,
          static_cast<int>(c) * V};
}

__device__ std::size_t offset(int image, int y, int x, int height, int width, int channels) {
  return ((static_cast<std::size_t>(image) * height + y) * width + x) * channels;
}

/// Runs body(V, element of the output) for every V channels of every output pixel.
template <class T, class Body>
void for_pixels(const Queue& queue, const char* name, const PoolShape& p, int height, int width,
                Body make) {
  with_vector<T>(p.channels, [&](auto v) {
    constexpr int V = decltype(v)::value;
    for_each(queue, name, static_cast<std::size_t>(p.images) * height * width * (p.channels / V),
             make(v));
  });
}

/// Calls visit(tap, V channels of the pixel under it) for the taps of output `o` inside the image, row by
/// row; returns how many there are.
template <int V, class T, class Visit>
__device__ int for_taps(const PoolShape& p, const Pixel& o, const T* src, Visit visit) {
  const IndexRange ys = window_taps(o.y, p.height, p), xs = window_taps(o.x, p.width, p);
  for (int ky = ys.begin; ky < ys.end; ++ky)
    for (int kx = xs.begin; kx < xs.end; ++kx) {
      const int y = o.y * p.stride - p.padding + ky, x = o.x * p.stride - p.padding + kx;
      visit(ky * p.kernel + kx,
            load<V>(src + offset(o.image, y, x, p.height, p.width, p.channels) + o.channel));
    }
  return (ys.end - ys.begin) * (xs.end - xs.begin);
}

template <class T, int V>
struct MaxBody {
  PoolShape p;
  const T* src;
  T* dst;
  std::uint8_t* index;
  __device__ void operator()(std::size_t i) const {
    const Pixel o = pixel_of<V>(i, p.out_height, p.out_width, p.channels);
    Pack<T, V> best{};
    Pack<std::uint8_t, V> where{};
    bool first = true;
    for_taps<V>(p, o, src, [&](int tap, const Pack<T, V>& value) {
#pragma unroll
      for (int v = 0; v < V; ++v)
        if (first || widened(value.at[v]) > widened(best.at[v])) {
          best.at[v] = value.at[v];
          where.at[v] = static_cast<std::uint8_t>(tap);
        }
      first = false;
    });
    store<V>(dst + i * V, best);
    store<V>(index + i * V, where);
  }
};

/// Gradient of an input pixel: a sum over the windows that cover it; kMax: of those that chose it.
template <class T, int V, bool kMax>
struct BackwardBody {
  PoolShape p;
  const T* diff_dst;
  const std::uint8_t* index;
  T* diff_src;
  __device__ void operator()(std::size_t i) const {
    const Pixel s = pixel_of<V>(i, p.height, p.width, p.channels);
    const IndexRange ys = windows_of(s.y, p.out_height, p), xs = windows_of(s.x, p.out_width, p);
    float sum[V] = {};
    for (int oy = ys.begin; oy < ys.end; ++oy)
      for (int ox = xs.begin; ox < xs.end; ++ox) {
        const std::size_t at =
            offset(s.image, oy, ox, p.out_height, p.out_width, p.channels) + s.channel;
        const Pack<T, V> g = load<V>(diff_dst + at);
        if constexpr (kMax) {
          const int tap =
              (s.y + p.padding - oy * p.stride) * p.kernel + s.x + p.padding - ox * p.stride;
          const Pack<std::uint8_t, V> chosen = load<V>(index + at);
#pragma unroll
          for (int v = 0; v < V; ++v) sum[v] += chosen.at[v] == tap ? widened(g.at[v]) : 0.0f;
        } else {
          const IndexRange ty = window_taps(oy, p.height, p), tx = window_taps(ox, p.width, p);
          const float count = static_cast<float>((ty.end - ty.begin) * (tx.end - tx.begin));
#pragma unroll
          for (int v = 0; v < V; ++v) sum[v] += widened(g.at[v]) / count;
        }
      }
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; ++v) result.at[v] = narrowed<T>(sum[v]);
    store<V>(diff_src + i * V, result);
  }
};

template <class T, int V>
struct AverageBody {
  PoolShape p;
  const T* src;
  T* dst;
  __device__ void operator()(std::size_t i) const {
    const Pixel o = pixel_of<V>(i, p.out_height, p.out_width, p.channels);
    float sum[V] = {};
    const int taps = for_taps<V>(p, o, src, [&](int, const Pack<T, V>& value) {
#pragma unroll
      for (int v = 0; v < V; ++v) sum[v] += widened(value.at[v]);
    });
    const float count = static_cast<float>(taps);
    Pack<T, V> result;
#pragma unroll
    for (int v = 0; v < V; ++v) result.at[v] = narrowed<T>(sum[v] / count);
    store<V>(dst + i * V, result);
  }
};

}  // namespace

template <class T>
void max_pool(const Queue& queue, const PoolShape& p, const T* src, T* dst, std::uint8_t* index) {
  for_pixels<T>(queue, "max pool", p, p.out_height, p.out_width, [&](auto v) {
    return MaxBody<T, decltype(v)::value>{p, src, dst, index};
  });
}

template <class T>
void max_pool_backward(const Queue& queue, const PoolShape& p, const T* diff_dst,
                       const std::uint8_t* index, T* diff_src) {
  for_pixels<T>(queue, "max pool backward", p, p.height, p.width, [&](auto v) {
    return BackwardBody<T, decltype(v)::value, true>{p, diff_dst, index, diff_src};
  });
}

template <class T>
void average_pool(const Queue& queue, const PoolShape& p, const T* src, T* dst) {
  for_pixels<T>(queue, "average pool", p, p.out_height, p.out_width, [&](auto v) {
    return AverageBody<T, decltype(v)::value>{p, src, dst};
  });
}

template <class T>
void average_pool_backward(const Queue& queue, const PoolShape& p, const T* diff_dst, T* diff_src) {
  for_pixels<T>(queue, "average pool backward", p, p.height, p.width, [&](auto v) {
    return BackwardBody<T, decltype(v)::value, false>{p, diff_dst, nullptr, diff_src};
  });
}

template <class T>
void global_average(const Queue& queue, int images, int pixels, int channels, const T* src,
                    float* dst) {
  const auto body = [=] __device__(std::size_t i) {
    const std::size_t image = i / channels, c = i % channels;
    const T* from = src + image * pixels * channels + c;
    float sum = 0;
#pragma unroll 8
    for (int p = 0; p < pixels; ++p) sum += widened(from[static_cast<std::size_t>(p) * channels]);
    dst[i] = sum / pixels;
  };
  for_each(queue, "global average pool", static_cast<std::size_t>(images) * channels, body);
}

template <class T>
void global_average_backward(const Queue& queue, int images, int pixels, int channels,
                             const float* diff_dst, T* diff_src) {
  const std::size_t image_elements = static_cast<std::size_t>(pixels) * channels;
  const auto body = [=] __device__(std::size_t i) {
    diff_src[i] = narrowed<T>(diff_dst[i / image_elements * channels + i % channels] / pixels);
  };
  for_each(queue, "global average pool backward", images * image_elements, body);
}

#define LOCKSTEP_STORED(T)                                                                       \
  template void max_pool(const Queue&, const PoolShape&, const T*, T*, std::uint8_t*);           \
  template void max_pool_backward(const Queue&, const PoolShape&, const T*, const std::uint8_t*, \
                                  T*);                                                           \
  template void average_pool(const Queue&, const PoolShape&, const T*, T*);                      \
  template void average_pool_backward(const Queue&, const PoolShape&, const T*, T*);             \
  template void global_average(const Queue&, int, int, int, const T*, float*);                   \
  template void global_average_backward(const Queue&, int, int, int, const float*, T*);
LOCKSTEP_STORED(float)
LOCKSTEP_STORED(Bf16)

}  // namespace lockstep::gpu
