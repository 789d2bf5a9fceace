#include "coordinator/plan/buckets.h"

#include <algorithm>

#include "layers/layout.h"

namespace lockstep {

BucketPlan make_buckets(const Graph& graph, const std::vector<int>& parameter_level,
                        std::size_t bucket_bytes, const OwnedTensors& owned) {
  const auto offsets = parameter_offsets(graph, owned);
  const int count = static_cast<int>(graph.parameters().size());
  BucketPlan plan;
  plan.of_parameter.assign(graph.parameters().size(), kNone);
  for (int p = count - 1; p >= 0; --p) {
    if (!owned.parameter(p)) continue;
    const auto i = static_cast<std::size_t>(p);
    const std::size_t floats = offsets[i + 1] - offsets[i];
    const bool full = !plan.buckets.empty() &&
                      (plan.buckets.back().count + floats) * sizeof(float) > bucket_bytes;
    if (plan.buckets.empty() || full) {
      plan.buckets.push_back({offsets[i + 1], 0});
      plan.ready_level.push_back(0);
    }
    Bucket& bucket = plan.buckets.back();
    bucket.begin = offsets[i];
    bucket.count += floats;
    plan.ready_level.back() = std::max(plan.ready_level.back(), parameter_level[i]);
    plan.of_parameter[i] = static_cast<int>(plan.buckets.size()) - 1;
  }
  return plan;
}

}  // namespace lockstep
