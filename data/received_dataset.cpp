#include "data/received_dataset.h"

#include "data/error.h"

namespace lockstep {

void ReceivedDataset::insert(std::int64_t window, std::int64_t index, int label,
                             std::vector<std::uint8_t> encoded) {
  const std::lock_guard lock(mutex_);
  samples_.insert_or_assign(index, Sample{label, std::move(encoded), window});
  windows_[window].push_back(index);
}

void ReceivedDataset::drop_before(std::int64_t window) {
  const std::lock_guard lock(mutex_);
  while (!windows_.empty() && windows_.begin()->first < window) {
    for (std::int64_t index : windows_.begin()->second) {
      const auto sample = samples_.find(index);
      if (sample != samples_.end() && sample->second.window < window) samples_.erase(sample);
    }
    windows_.erase(windows_.begin());
  }
}

const ReceivedDataset::Sample& ReceivedDataset::sample(std::int64_t index) const {
  const auto found = samples_.find(index);
  if (found == samples_.end())
    throw InternalError("sample " + std::to_string(index) + " was not sent to this rank");
  return found->second;
}

int ReceivedDataset::label(std::int64_t index) const {
  const std::lock_guard lock(mutex_);
  return sample(index).label;
}

std::vector<std::uint8_t> ReceivedDataset::encoded(std::int64_t index) const {
  const std::lock_guard lock(mutex_);
  return sample(index).encoded;
}

}  // namespace lockstep
