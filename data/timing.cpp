#include "data/timing.h"

#include <random>

namespace lockstep {

Interval median_interval(const std::vector<double>& values) {
  constexpr int kDraws = 2000;
  if (values.empty()) return {};
  std::mt19937_64 generator(1);  // the same values give the same interval
  std::vector<double> medians, drawn(values.size());
  for (int d = 0; d < kDraws; ++d) {
    for (double& value : drawn) value = values[generator() % values.size()];
    medians.push_back(median(drawn));
  }
  std::sort(medians.begin(), medians.end());
  return {medians[kDraws / 40], medians[kDraws - 1 - kDraws / 40]};
}

}  // namespace lockstep
