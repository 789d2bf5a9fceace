#pragma once
#include <array>
#include <cmath>
#include <cstdint>

namespace lockstep {

/// Counter-based random numbers: Philox 4x32-10, Salmon et al. 2011, "Parallel random numbers: as
/// easy as 1, 2, 3". A pure function from a 128-bit counter and a 64-bit key to 128 random bits:
/// any element of any stream costs the same, so what is drawn never depends on ranks, threads or
/// what came before. One text for host and device: CUDA calls constexpr functions (layers/gpu).
using PhiloxCounter = std::array<std::uint32_t, 4>;
using PhiloxKey = std::array<std::uint32_t, 2>;

constexpr PhiloxCounter philox(PhiloxCounter counter, PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {
        static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
        static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key = {key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u};
  }
  return counter;
}

/// What random numbers are drawn for: two uses of one seed never share numbers.
enum class RandomUse : std::uint32_t {
  kOrder = 1,
  kAugment = 2,
  kSynthetic = 3,
  kWeights = 4,
  kDropout = 5,
  kStochasticDepth = 6,
  kBranchGate = 7,
  kImageGate = 8,
};

/// The key of one use of a seed.
constexpr PhiloxKey random_key(std::uint64_t seed, RandomUse use) {
  const PhiloxCounter bits =
      philox({static_cast<std::uint32_t>(use), 0, 0, 0xFFFFFFFFu},
             {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  return {bits[0], bits[1]};
}

/// Uniform in [0, 1), 24 bits: every value is exact in a float.
constexpr float uniform_float(std::uint32_t bits) {
  return static_cast<float>(bits >> 8) * 0x1.0p-24f;
}

/// Uniform integer in [0, n); the bias is below n / 2^64. n > 0.
inline std::uint64_t integer_below(std::uint32_t high, std::uint32_t low, std::uint64_t n) {
  const std::uint64_t bits = (std::uint64_t{high} << 32) | low;
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(bits) * n) >> 64);
}

/// Two independent standard normal numbers (Box-Muller, in double).
inline std::array<float, 2> normal_pair(std::uint32_t a, std::uint32_t b) {
  const double u =
      (static_cast<double>(a) + 0.5) * 0x1.0p-32;  // in (0, 1): its logarithm is finite
  const double radius = std::sqrt(-2.0 * std::log(u));
  const double angle = 2.0 * 3.14159265358979323846 * (static_cast<double>(b) * 0x1.0p-32);
  return {static_cast<float>(radius * std::cos(angle)),
          static_cast<float>(radius * std::sin(angle))};
}

/// The numbers of one stream, one after the other: (key, stream) name it, e.g. stream = {epoch,
/// sample}.
class RandomStream {
 public:
  RandomStream(PhiloxKey key, std::array<std::uint32_t, 3> stream) : key_(key), stream_(stream) {}

  std::uint32_t next() {
    if (used_ == 4) {
      bits_ = philox({block_++, stream_[0], stream_[1], stream_[2]}, key_);
      used_ = 0;
    }
    return bits_[used_++];
  }
  /// In [0, 1).
  float uniform() { return uniform_float(next()); }
  /// In [low, high).
  float uniform(float low, float high) { return low + (high - low) * uniform(); }
  /// In [0, n), n > 0.
  std::uint64_t below(std::uint64_t n) {
    const std::uint32_t high = next();
    const std::uint32_t low = next();
    return integer_below(high, low, n);
  }
  /// Mean 0, standard deviation 1.
  float normal() {
    if (has_spare_) {
      has_spare_ = false;
      return spare_;
    }
    const std::uint32_t a = next();
    const std::uint32_t b = next();
    const std::array<float, 2> pair = normal_pair(a, b);
    spare_ = pair[1];
    has_spare_ = true;
    return pair[0];
  }

 private:
  PhiloxKey key_;
  std::array<std::uint32_t, 3> stream_;
  PhiloxCounter bits_{};
  std::uint32_t block_ = 0;
  unsigned used_ = 4;
  float spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace lockstep
