#pragma once
#include <cstddef>

#include "layers/backend.h"
#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

/// Adds the lanes' copies, in the lanes' order, to that of the first lane that has images. Returns
/// that lane, or -1 if none has.
inline int fold_lanes(const StepContext& context, int lanes, const Memory& copies,
                      std::size_t floats) {
  int home = -1;
  for (int l = 0; l < lanes; ++l) {
    const auto [begin, end] = lane_images(context.images, lanes, l);
    if (begin == end) continue;
    if (home < 0)
      home = l;
    else
      kernels().accumulate(floats, copies.of_lane(l), copies.of_lane(home));
  }
  return home;
}

}  // namespace lockstep::cpu
