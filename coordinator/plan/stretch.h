#pragma once
#include <algorithm>
#include <cstddef>

namespace lockstep {

/// What lanes make between two meetings. Phases end where chunk sizes change, and a value that goes
/// from one phase to another keeps its memory until the lanes meet: in a long stretch without
/// meetings such values add up. Short stretches would cost the cache's help instead.
class Stretch {
 public:
  /// Whether lanes should meet after what makes these bytes.
  bool ends_with(std::size_t bytes) {
    made_ += bytes;
    largest_ = std::max(largest_, bytes);
    if (made_ <= std::max<std::size_t>(32u << 20, 8 * largest_)) return false;
    made_ = largest_ = 0;
    return true;
  }

 private:
  std::size_t made_ = 0, largest_ = 0;
};

}  // namespace lockstep
