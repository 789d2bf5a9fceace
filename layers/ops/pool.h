#pragma once
#include <string>

#include "layers/ops/description.h"

namespace lockstep {

enum class PoolKind { kMax, kAverage };

/// Pooling; the average leaves padding out of its count.
/// H' = (H + 2*padding - kernel)/stride + 1, rounded up with ceil_mode.
struct Pool {
  PoolKind kind = PoolKind::kMax;
  int kernel = 3;
  int stride = 2;
  int padding = 1;
  bool ceil_mode = false;

  OpTraits traits() const;
  Shape shape(const ShapeSite& site) const;
  OpTensors tensors(const std::string& name, const Shape& src) const;
  OpCost cost(const CostSite& site) const;
  BackwardNeeds backward_needs(const Shape& dst) const;
  bool fits_blocks(const LayoutSite& site) const;
  std::string bf16_obstacle(const StorageSite& site) const;
  std::string evaluation_text() const;
};

}  // namespace lockstep
