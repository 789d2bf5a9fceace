#pragma once
#include "coordinator/plan/draft.h"

namespace lockstep {

struct BucketPlan {
  std::vector<Bucket> buckets;
  std::vector<int> ready_level;   // by bucket: the boundary after which it can be reduced
  std::vector<int> of_parameter;  // by parameter
};

/// Pass 3: gradients from the last parameter to the first, in contiguous ranges of about
/// `bucket_bytes`: backward finishes them in about that order, so that the reduction of one bucket
/// overlaps the computation of the next.
BucketPlan make_buckets(const Graph& graph, const std::vector<int>& parameter_level,
                        std::size_t bucket_bytes, const OwnedTensors& owned = {});

}  // namespace lockstep
