// Speed of our own kernels, in bytes read and written a second, on one thread: every kernel, on
// each table that this CPU has, with all its tensors together in L2 (512 KiB) and in memory (64
// MiB).
//   kernels_bench --benchmark_filter='norm_apply.*avx512'
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "layers/cpu/kernels.h"

namespace lockstep::cpu {
namespace {

/// Three tensors of the geometry, its channels' factors and sums; enough for any kernel.
struct Tensors {
  Geometry geometry;
  int images;
  std::size_t n;
  std::vector<float> a, b, c, per_channel, per_image;
  std::vector<double> sums;
  std::vector<std::uint8_t> index;

  /// As many images as fit into `bytes` when a kernel uses `used` tensors.
  Tensors(const Geometry& g, std::size_t bytes, int used)
      : geometry(g),
        images(static_cast<int>(
            std::max<std::size_t>(1, bytes / used / sizeof(float) / g.image_elements()))),
        n(images * g.image_elements()),
        a(n, 1.0f),
        b(n, 0.5f),
        c(n, 0.25f),
        per_channel(g.channels, 0.5f),
        per_image(static_cast<std::size_t>(images) * g.channels, 0.5f),
        sums(2 * g.channels),
        index(n) {}

  /// A 3x3 window at stride 2 over images of side x side.
  PoolGeometry pool(int side) const {
    return {geometry.channels, side, side, geometry.block, side / 2, side / 2, 3, 2, 1};
  }
};

struct Case {
  std::string name;
  int tensors;     // that are distinct: what must fit into the cache
  double streams;  // floats read and written per element
  std::function<void(const Kernels&, Tensors&)> run;
};

constexpr int kSide = 16;

std::vector<Case> norm_cases() {
  return {
      {"channel_sums", 1, 1,
       [](const Kernels& k, Tensors& t) {
         k.f32.channel_sums(t.geometry, t.images, t.a.data(), t.sums.data());
       }},
      {"norm_apply_relu", 2, 2,
       [](const Kernels& k, Tensors& t) {
         k.f32.norm_apply(t.geometry, t.images, t.a.data(), nullptr, t.b.data(),
                          t.per_channel.data(), t.per_channel.data(), true);
       }},
      {"norm_apply_add_relu", 3, 3,
       [](const Kernels& k, Tensors& t) {
         k.f32.norm_apply(t.geometry, t.images, t.a.data(), t.c.data(), t.b.data(),
                          t.per_channel.data(), t.per_channel.data(), true);
       }},
      {"norm_backward_sums", 3, 4,  // in place: dy0, y, x -> g
       [](const Kernels& k, Tensors& t) {
         k.f32.norm_backward_sums(t.geometry, t.images, t.a.data(), nullptr, t.b.data(), t.c.data(),
                                  t.per_channel.data(), t.a.data(), t.sums.data());
       }},
      {"norm_backward_data", 3, 3,
       [](const Kernels& k, Tensors& t) {
         k.f32.norm_backward_data(t.geometry, t.images, t.a.data(), t.b.data(), t.c.data(),
                                  t.per_channel.data(), t.per_channel.data(), t.per_channel.data());
       }},
      {"global_average", 1, 1,
       [](const Kernels& k, Tensors& t) {
         k.f32.global_average(t.geometry, t.images, t.a.data(), t.per_image.data());
       }},
      {"channel_scale", 2, 2,
       [](const Kernels& k, Tensors& t) {
         k.f32.channel_scale(t.geometry, t.images, t.a.data(), t.per_image.data(), t.b.data());
       }},
      {"channel_scale_backward_gate", 2, 2,
       [](const Kernels& k, Tensors& t) {
         k.f32.channel_scale_backward_gate(t.geometry, t.images, t.a.data(), t.b.data(),
                                           t.per_image.data());
       }},
      {"max_pool", 2, 1.3125,
       [](const Kernels& k, Tensors& t) {
         k.f32.max_pool(t.pool(kSide), t.images, t.a.data(), t.b.data(), t.index.data());
       }},
      {"max_pool_backward", 2, 1.3125,
       [](const Kernels& k, Tensors& t) {
         k.f32.max_pool_backward(t.pool(kSide), t.images, t.b.data(), t.index.data(), t.a.data());
       }},
      {"average_pool", 2, 1.25,
       [](const Kernels& k, Tensors& t) {
         k.f32.average_pool(t.pool(kSide), t.images, t.a.data(), t.b.data());
       }},
      {"average_pool_backward", 2, 1.25,
       [](const Kernels& k, Tensors& t) {
         k.f32.average_pool_backward(t.pool(kSide), t.images, t.b.data(), t.a.data());
       }},
  };
}

std::vector<Case> activation_cases() {
  std::vector<Case> all;
  for (int i = 0; i < kActivationCount; ++i) {
    const std::string name = kActivations[i].word;
    all.push_back({name, 2, 2, [i](const Kernels& k, Tensors& t) {
                     k.f32.activations[i].forward(t.n, 1.0f, t.a.data(), t.b.data());
                   }});
    all.push_back({name + "_backward", 3, 3, [i](const Kernels& k, Tensors& t) {
                     k.f32.activations[i].backward(t.n, 1.0f, t.a.data(), t.b.data(), t.c.data());
                   }});
  }
  return all;
}

std::vector<Case> elementwise_cases() {
  return {
      {"add", 3, 3,
       [](const Kernels& k, Tensors& t) { k.f32.add(t.n, t.a.data(), t.b.data(), t.c.data()); }},
      {"accumulate", 2, 3,
       [](const Kernels& k, Tensors& t) { k.accumulate(t.n, t.a.data(), t.b.data()); }},
      {"scale", 2, 2,
       [](const Kernels& k, Tensors& t) { k.f32.scale(t.n, t.a.data(), 0.5f, t.b.data()); }},
      {"sum_of_squares", 1, 1,
       [](const Kernels& k, Tensors& t) {
         for (std::size_t i = 0; i < t.n; i += 65536) {
           t.sums[0] = k.sum_of_squares(std::min<std::size_t>(65536, t.n - i), t.a.data() + i);
         }
       }},
      {"sgd", 3, 5,
       [](const Kernels& k, Tensors& t) {
         k.sgd(t.n, {0.1f, 0.9f, 1e-4f, 0.01f, false}, t.a.data(), t.b.data(), t.c.data());
       }},
  };
}

void measure(const Case& task, const std::string& layout, const Geometry& geometry) {
  for (const char* limit : {"baseline", "avx2", "avx512"}) {
    const Kernels& table = kernels_for(limit);
    if (std::string(table.name) != limit) continue;
    for (std::size_t kib : {512, 65536}) {
      const std::string name =
          task.name + "/" + layout + "/" + limit + "/" + std::to_string(kib) + "KiB";
      benchmark::RegisterBenchmark(name.c_str(), [=, &table](benchmark::State& state) {
        Tensors tensors(geometry, kib * 1024, task.tensors);
        for (auto _ : state) {
          task.run(table, tensors);
          benchmark::ClobberMemory();
        }
        state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * task.streams *
                                                          sizeof(float) * tensors.n));
      });
    }
  }
}

}  // namespace
}  // namespace lockstep::cpu

int main(int argc, char** argv) {
  using namespace lockstep::cpu;
  flush_denormals();
  constexpr int kPixels = kSide * kSide;
  for (const Case& task : norm_cases()) {
    measure(task, "block16", {64, kPixels, 16});
    measure(task, "block8", {64, kPixels, 8});
    measure(task, "nhwc16", {16, kPixels, 0});
    measure(task, "nhwc256", {256, kPixels, 0});
  }
  for (const Case& task : elementwise_cases()) measure(task, "flat", {64, kPixels, 0});
  for (const Case& task : activation_cases()) measure(task, "flat", {64, kPixels, 0});
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
