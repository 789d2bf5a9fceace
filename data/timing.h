#pragma once
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

/// Of a clock that only goes forward.
inline double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The CPU's counter: sooner read than a clock (10 ns instead of 29), of an unknown frequency.
inline std::uint64_t ticks_now() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<std::uint64_t>(seconds_now() * 1e9);
#endif
}

/// The middle value; of an even number of values the mean of the two in the middle; of none 0.
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/// a[i] / b[i]: of measurements that were taken in turns, so that what slows the machine down for a
/// while slows down both.
inline std::vector<double> paired_ratios(const std::vector<double>& a,
                                         const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) ratios.push_back(a[i] / b[i]);
  return ratios;
}

inline double median_ratio(const std::vector<double>& a, const std::vector<double>& b) {
  return median(paired_ratios(a, b));
}

struct Interval {
  double low = 0, high = 0;
};

/// Where 95% of the medians lie when as many values are drawn anew from these, with replacement
/// (bootstrap); of none 0.
Interval median_interval(const std::vector<double>& values);

}  // namespace lockstep
