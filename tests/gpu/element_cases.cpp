#include <numeric>

#include "data/random.h"
#include "layers/branch_draws.h"
#include "layers/gpu/elementwise.h"
#include "layers/gpu/pool.h"
#include "tests/gpu/cases.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/pooling.h"

namespace lockstep::gpu_test {

namespace {

using reference::ActivationKind;

template <class T>
void pool_case(Bench& bench, Storage storage, std::vector<std::int64_t> dims, int kernel,
               int stride, int padding, bool compare) {
  const gpu::Queue& q = bench.queue();
  const auto out = [&](std::int64_t n) { return (n + 2 * padding - kernel) / stride + 1; };
  const std::vector<std::int64_t> dst_dims{dims[0], dims[1], out(dims[2]), out(dims[3])};
  const auto i = [](std::int64_t n) { return static_cast<int>(n); };
  const gpu::PoolShape p{i(dims[0]),     i(dims[1]), i(dims[2]), i(dims[3]), i(dst_dims[2]),
                         i(dst_dims[3]), kernel,     stride,     padding};
  const reference::PoolOptions o{.kernel = kernel, .stride = stride, .padding = padding};
  const Tensor x = stored(quick_tensor(dims, 1, compare), storage),
               g = stored(quick_tensor(dst_dims, 2, compare), storage);
  const Buffer src = bench.upload(x, storage, true), diff_dst = bench.upload(g, storage, true);
  const Buffer dst = bench.empty(dst_dims, storage, true),
               diff_src = bench.empty(dims, storage, true);
  const Buffer index = bench.bytes(static_cast<std::size_t>(elements(g)));
  const std::string op = "pool " + std::to_string(kernel) + "/" + std::to_string(stride) + " " +
                         reference::dims_text(x),
                    s = name(storage);
  const double bytes = (elements(x) + elements(g)) * sizeof(T), allowed = tolerance(storage);
  std::optional<Tensor> y, dx, ya, dxa, yg, dxg;
  const Tensor gg = stored(quick_tensor({dims[0], dims[1], 1, 1}, 5), Storage::kF32);
  if (compare) {
    y = reference::max_pool(x, o), dx = reference::max_pool_backward(x, g, o);
    ya = reference::average_pool(x, o), dxa = reference::average_pool_backward(x, g, o);
    yg = reference::global_average_pool(x), dxg = reference::global_average_pool_backward(dims, gg);
  }
  bench.run({"max " + op,
             "forward",
             s,
             {bytes, 0},
             1e-7,
             [&] { gpu::max_pool(q, p, src.as<T>(), dst.as<T>(), index.as<std::uint8_t>()); },
             {{&dst, y}}});
  bench.run({"max " + op,
             "backward data",
             s,
             {bytes, 0},
             allowed,
             [&] {
               gpu::max_pool_backward(q, p, diff_dst.as<T>(), index.as<std::uint8_t>(),
                                      diff_src.as<T>());
             },
             {{&diff_src, dx}}});
  bench.run({"average " + op,
             "forward",
             s,
             {bytes, 0},
             allowed,
             [&] { gpu::average_pool(q, p, src.as<T>(), dst.as<T>()); },
             {{&dst, ya}}});
  bench.run({"average " + op,
             "backward data",
             s,
             {bytes, 0},
             allowed,
             [&] { gpu::average_pool_backward(q, p, diff_dst.as<T>(), diff_src.as<T>()); },
             {{&diff_src, dxa}}});
  const Buffer means = bench.empty(gg.dims, Storage::kF32, false),
               diff_means = bench.upload(gg, Storage::kF32, false);
  const int pixels = p.height * p.width;
  const double whole = elements(x) * sizeof(T);
  bench.run({"global " + op,
             "forward",
             s,
             {whole, 0},
             1e-5,
             [&] { gpu::global_average(q, p.images, pixels, p.channels, src.as<T>(), means.as()); },
             {{&means, yg}}});
  bench.run({"global " + op,
             "backward data",
             s,
             {whole, 0},
             allowed,
             [&] {
               gpu::global_average_backward(q, p.images, pixels, p.channels, diff_means.as(),
                                            diff_src.as<T>());
             },
             {{&diff_src, dxg}}});
}

template <class T>
void element_case(Bench& bench, Storage storage, std::int64_t n, bool compare) {
  const gpu::Queue& q = bench.queue();
  const Tensor a = stored(quick_tensor({n}, 1, compare), storage),
               b = stored(quick_tensor({n}, 2, compare), storage);
  const Buffer x = bench.upload(a, storage, false), y = bench.upload(b, storage, false),
               z = bench.empty({n}, storage, false);
  const std::string op = "elements " + std::to_string(n), s = name(storage);
  const double bytes = static_cast<double>(n) * sizeof(T);
  const auto size = static_cast<std::size_t>(n);
  std::optional<Tensor> r, rb, sum, both;
  if (compare) {
    r = reference::activation(a, ActivationKind::kRelu),
    rb = reference::activation_backward(a, b, ActivationKind::kRelu);
    sum = reference::add(a, b), both = reference::activation(*sum, ActivationKind::kRelu);
  }
  bench.run({op,
             "relu",
             s,
             {2 * bytes, 0},
             1e-7,
             [&] { gpu::relu(q, size, x.as<T>(), z.as<T>()); },
             {{&z, r}}});
  bench.run({op,
             "relu backward",
             s,
             {3 * bytes, 0},
             1e-7,
             [&] { gpu::relu_backward(q, size, x.as<T>(), y.as<T>(), z.as<T>()); },
             {{&z, rb}}});
  bench.run({op,
             "add",
             s,
             {3 * bytes, 0},
             tolerance(storage, 1e-6),
             [&] { gpu::add(q, size, x.as<T>(), y.as<T>(), z.as<T>(), false); },
             {{&z, sum}}});
  bench.run({op,
             "add relu",
             s,
             {3 * bytes, 0},
             tolerance(storage, 1e-6),
             [&] { gpu::add(q, size, x.as<T>(), y.as<T>(), z.as<T>(), true); },
             {{&z, both}}});
}

/// The masks are compared bit for bit with those that the CPU's loop draws.
template <class T>
void draw_case(Bench& bench, Storage storage) {
  const gpu::Queue& q = bench.queue();
  constexpr int kImages = 37, kElements = 1022;
  const Tensor ones = reference::make_tensor({kImages, kElements}, 1);
  const Buffer src = bench.upload(ones, storage, false),
               dst = bench.empty(ones.dims, storage, false);
  std::vector<std::int64_t> positions(kImages);
  for (std::size_t i = 0; i < positions.size(); ++i)
    positions[i] = static_cast<std::int64_t>(i * i * 7 + 3);
  const Buffer device_positions = bench.bytes(positions.size() * 8);
  q.upload(device_positions.memory.data(), positions.data(), positions.size() * 8);
  const Dropout dropout{0.3f};
  const StochasticDepth depth{0.6f};
  const gpu::Draws draws{12345678901234567u, 4321, 17, device_positions.as<std::int64_t>()};
  const PhiloxKey key = random_key(draws.seed, RandomUse::kDropout),
                  depth_key = random_key(draws.seed, RandomUse::kStochasticDepth);
  Tensor mask = ones, kept = ones;
  for (std::size_t n = 0; n < positions.size(); ++n)
    for (std::size_t i = 0; i < kElements; ++i) {
      const auto bits = philox(
          {static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(positions[n]), 17, 4321},
          key);
      mask.values[n * kElements + i] = uniform_float(bits[i % 4]) < dropout.probability ? 0 : 1;
      kept.values[n * kElements + i] =
          keeps_branch(depth.keep, 17, depth_key, 4321, positions[n]) ? 1 : 0;
    }
  const auto masked = [&](const Tensor& m, float factor) {
    Tensor t = m;
    for (double& v : t.values) v *= static_cast<double>(factor);
    return stored(t, storage);
  };
  bench.run({"dropout",
             "forward, backward",
             name(storage),
             {},
             0,
             [&] { gpu::dropout(q, dropout, draws, kImages, kElements, src.as<T>(), dst.as<T>()); },
             {{&dst, masked(mask, 1.0f / (1.0f - dropout.probability))}}});
  bench.run({"stochastic depth",
             "forward, backward",
             name(storage),
             {},
             0,
             [&] {
               gpu::stochastic_depth(q, depth, draws, kImages, kElements, src.as<T>(), dst.as<T>());
             },
             {{&dst, masked(kept, 1.0f / depth.keep)}}});
}

}  // namespace

void test_pools(Bench& bench, Storage storage, bool large) {
  const auto run = [&](std::vector<std::int64_t> dims, int k, int s, int p) {
    bench.guard("pool", [&] {
      storage == Storage::kBf16 ? pool_case<Bf16>(bench, storage, dims, k, s, p, !large)
                                : pool_case<float>(bench, storage, dims, k, s, p, !large);
    });
  };
  if (large) return run({128, 64, 112, 112}, 3, 2, 1);
  run({2, 16, 9, 11}, 3, 2, 1);
  run({3, 5, 8, 8}, 2, 2, 0);
  run({2, 24, 7, 7}, 3, 1, 1);
}

void test_elementwise(Bench& bench, Storage storage, bool large) {
  for (const std::int64_t n : large ? std::vector<std::int64_t>{std::int64_t{1} << 26}
                                    : std::vector<std::int64_t>{4096, 1001})
    bench.guard("elements", [&] {
      storage == Storage::kBf16 ? element_case<Bf16>(bench, storage, n, !large)
                                : element_case<float>(bench, storage, n, !large);
    });
}

void test_draws(Bench& bench, Storage storage) {
  bench.guard("draws", [&] {
    storage == Storage::kBf16 ? draw_case<Bf16>(bench, storage) : draw_case<float>(bench, storage);
  });
}

}  // namespace lockstep::gpu_test
