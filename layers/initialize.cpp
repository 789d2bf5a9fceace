#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "data/random.h"
#include "layers/graph.h"

namespace lockstep {

namespace {

/// FNV-1a, 64 bits: the same on every machine, unlike std::hash.
std::uint64_t hash_of(const std::string& name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return hash;
}

RandomStream stream_of(const Parameter& parameter, std::uint64_t seed) {
  const std::uint64_t hash = hash_of(parameter.name);
  return RandomStream(
      random_key(seed, RandomUse::kWeights),
      {static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32), 0});
}

}  // namespace

void initialize_parameter(const Parameter& parameter, std::uint64_t seed, float* values) {
  const std::int64_t count = parameter.elements();
  RandomStream random = stream_of(parameter, seed);
  switch (parameter.init) {
    case Init::kZero:
      std::fill_n(values, count, 0.0f);
      return;
    case Init::kConstant:
      std::fill_n(values, count, parameter.constant);
      return;
    case Init::kNormal:
      std::generate_n(values, count, [&] { return parameter.constant * random.normal(); });
      return;
    case Init::kHeNormal: {
      const double fan_out = static_cast<double>(parameter.dims[0]) *
                             static_cast<double>(parameter.dims[2] * parameter.dims[3]);
      const float deviation = static_cast<float>(std::sqrt(2.0 / fan_out));
      std::generate_n(values, count, [&] { return deviation * random.normal(); });
      return;
    }
    case Init::kLinearUniform: {
      const std::int64_t inputs = count / std::max<std::int64_t>(1, parameter.dims[0]);
      const float bound = 1.0f / std::sqrt(static_cast<float>(inputs));
      std::generate_n(values, count, [&] { return random.uniform(-bound, bound); });
      return;
    }
  }
}

}  // namespace lockstep
