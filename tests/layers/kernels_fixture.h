#pragma once
#include <gtest/gtest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

/// One table of kernels per instruction set that this CPU has.
inline std::vector<const Kernels*> tables_of_this_cpu() {
  std::vector<const Kernels*> tables;
  for (const char* name : {"baseline", "avx2", "avx512"}) {
    const Kernels& table = kernels_for(name);
    if (std::string(table.name) == name) tables.push_back(&table);
  }
  return tables;
}

inline std::string name_of(const testing::TestParamInfo<const Kernels*>& info) {
  return info.param->name;
}

/// An activation without alpha, by a table's kernels.
template <class T>
void forward(const StoredKernels<T>& kernels, ActivationKind kind, std::size_t n, const T* x,
             T* y) {
  kernels.activations[static_cast<int>(kind)].forward(n, 0.0f, x, y);
}
template <class T>
void backward(const StoredKernels<T>& kernels, ActivationKind kind, std::size_t n, const T* dy,
              const T* saved, T* dx) {
  kernels.activations[static_cast<int>(kind)].backward(n, 0.0f, dy, saved, dx);
}

/// A test that runs once per table, which is GetParam().
class KernelsTest : public testing::TestWithParam<const Kernels*> {};

/// Blocked 8 and 16 and nhwc, with channels that leave every kind of tail.
inline std::vector<Geometry> geometries() {
  std::vector<Geometry> all;
  for (int pixels : {1, 49, 64, 1024, 2500}) {
    for (int channels : {1, 3, 8, 10, 16, 24, 64, 80, 160}) {
      if (pixels == 2500 && channels > 24) continue;
      for (int block : {0, 8, 16}) {
        if (block == 0 || channels % block == 0) all.push_back({channels, pixels, block});
      }
    }
  }
  all.push_back({1043, 49, 0});  // more than is held at once
  return all;
}

inline std::string text_of(const Geometry& g, int images) {
  return "channels " + std::to_string(g.channels) + ", pixels " + std::to_string(g.pixels) +
         ", block " + std::to_string(g.block) + ", images " + std::to_string(images);
}

/// Where image n, channel c, pixel p lies.
inline std::size_t at(const Geometry& g, int n, int c, int p) {
  const std::size_t image = n * g.image_elements();
  if (g.block == 0) return image + static_cast<std::size_t>(p) * g.channels + c;
  const std::size_t group = c / g.block;
  return image + (group * g.pixels + p) * g.block + c % g.block;
}

/// Calls f(n, c, p, offset) for every element.
template <class F>
void for_each_element(const Geometry& g, int images, const F& f) {
  for (int n = 0; n < images; ++n) {
    for (int c = 0; c < g.channels; ++c) {
      for (int p = 0; p < g.pixels; ++p) f(n, c, p, at(g, n, c, p));
    }
  }
}

/// Normal deviates, always the same for a seed.
inline std::vector<float> normal(std::size_t n, unsigned seed, float mean = 0, float stddev = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> draw(mean, stddev);
  std::vector<float> values(n);
  for (float& value : values) value = draw(engine);
  return values;
}

}  // namespace lockstep::cpu
