#include "layers/gpu/elementwise.h"

#include "layers/branch_draws.h"
#include "layers/gpu/kernels.cuh"

namespace lockstep::gpu {

namespace {

/// to[i] = map(a[i], b[i]) in 16-byte accesses; b may be null.
template <class T, int V, class Map>
struct MapBody {
  const T *a, *b;
  T* to;
  Map map;
  __device__ void operator()(std::size_t i) const {
    const Pack<T, V> x = load<V>(a + i * V), y = b ? load<V>(b + i * V) : x;
    Pack<T, V> z;
#pragma unroll
    for (int v = 0; v < V; ++v) z.at[v] = narrowed<T>(map(widened(x.at[v]), widened(y.at[v])));
    store<V>(to + i * V, z);
  }
};

template <class T, class Map>
void map_elements(const Queue& queue, const char* name, std::size_t n, const T* a, const T* b,
                  T* to, Map map) {
  with_vector<T>(n, [&](auto width) {
    constexpr int V = decltype(width)::value;
    for_each(queue, name, n / V, MapBody<T, V, Map>{a, b, to, map});
  });
}

template <class T, int V>
struct DepthBody {
  StochasticDepth depth;
  Draws draws;
  PhiloxKey key;
  std::size_t vectors;  // of one image
  const T* from;
  T* to;
  __device__ void operator()(std::size_t i) const {
    const std::int64_t position = draws.positions[i / vectors];
    const bool kept = keeps_branch(depth.keep, draws.op, key, draws.step, position);
    const float alpha = kept ? 1.0f / depth.keep : 0.0f;
    Pack<T, V> x = load<V>(from + i * V);
#pragma unroll
    for (int v = 0; v < V; ++v) x.at[v] = narrowed<T>(alpha * widened(x.at[v]));
    store<V>(to + i * V, x);
  }
};

struct Relu {
  __device__ float operator()(float x, float) const { return x < 0 ? 0 : x; }
};
struct ReluBackward {
  __device__ float operator()(float y, float g) const { return y > 0 ? g : 0; }
};
struct Sum {
  bool relu;
  __device__ float operator()(float x, float y) const {
    const float sum = x + y;
    return relu && sum < 0 ? 0 : sum;
  }
};
struct Times {
  float alpha;
  __device__ float operator()(float x, float) const { return alpha * x; }
};

}  // namespace

template <class T>
void relu(const Queue& queue, std::size_t n, const T* src, T* dst) {
  map_elements<T>(queue, "relu", n, src, nullptr, dst, Relu{});
}

template <class T>
void relu_backward(const Queue& queue, std::size_t n, const T* dst, const T* diff_dst,
                   T* diff_src) {
  map_elements<T>(queue, "relu backward", n, dst, diff_dst, diff_src, ReluBackward{});
}

template <class T>
void add(const Queue& queue, std::size_t n, const T* a, const T* b, T* dst, bool relu) {
  map_elements<T>(queue, "add", n, a, b, dst, Sum{relu});
}

template <class T>
void scale(const Queue& queue, std::size_t n, float alpha, const T* src, T* dst) {
  map_elements<T>(queue, "scale", n, src, nullptr, dst, Times{alpha});
}

template <class T>
void dropout(const Queue& queue, const Dropout& dropout, const Draws& draws, int images,
             std::size_t image_elements, const T* from, T* to) {
  const PhiloxKey key = random_key(draws.seed, RandomUse::kDropout);
  const float probability = dropout.probability, keep_scale = 1.0f / (1.0f - probability);
  const std::size_t blocks = (image_elements + 3) / 4;
  const auto body = [=] __device__(std::size_t i) {
    const std::size_t image = i / blocks, block = i % blocks;
    const PhiloxCounter bits = philox(
        {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(draws.positions[image]),
         static_cast<std::uint32_t>(draws.op), static_cast<std::uint32_t>(draws.step)},
        key);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      if (block * 4 + j >= image_elements) break;
      const std::size_t at = image * image_elements + block * 4 + j;
      to[at] =
          narrowed<T>(uniform_float(bits[j]) < probability ? 0.0f : widened(from[at]) * keep_scale);
    }
  };
  for_each(queue, "dropout", static_cast<std::size_t>(images) * blocks, body);
}

template <class T>
void stochastic_depth(const Queue& queue, const StochasticDepth& depth, const Draws& draws,
                      int images, std::size_t image_elements, const T* from, T* to) {
  const PhiloxKey key = random_key(draws.seed, RandomUse::kStochasticDepth);
  with_vector<T>(image_elements, [&](auto width) {
    constexpr int V = decltype(width)::value;
    const std::size_t vectors = image_elements / V;
    for_each(queue, "stochastic depth", static_cast<std::size_t>(images) * vectors,
             DepthBody<T, V>{depth, draws, key, vectors, from, to});
  });
}

#define LOCKSTEP_STORED(T)                                                                      \
  template void relu(const Queue&, std::size_t, const T*, T*);                                  \
  template void relu_backward(const Queue&, std::size_t, const T*, const T*, T*);               \
  template void add(const Queue&, std::size_t, const T*, const T*, T*, bool);                   \
  template void scale(const Queue&, std::size_t, float, const T*, T*);                          \
  template void dropout(const Queue&, const Dropout&, const Draws&, int, std::size_t, const T*, \
                        T*);                                                                    \
  template void stochastic_depth(const Queue&, const StochasticDepth&, const Draws&, int,       \
                                 std::size_t, const T*, T*);
LOCKSTEP_STORED(float)
LOCKSTEP_STORED(Bf16)

}  // namespace lockstep::gpu
