#pragma once
#include <map>
#include <mutex>
#include <unordered_map>

#include "data/dataset.h"

namespace lockstep {

/// Samples that arrive from elsewhere (rank 0 sends each rank its shard), in windows: the samples of
/// some steps. A window is dropped when its steps are over, so that memory stays bounded.
class ReceivedDataset : public Dataset {
 public:
  explicit ReceivedDataset(DatasetInfo info) : Dataset(std::move(info)) {}

  void insert(std::int64_t window, std::int64_t index, int label,
              std::vector<std::uint8_t> encoded);
  /// Forgets the windows before `window`.
  void drop_before(std::int64_t window);

  /// @throws InternalError if the sample has not arrived, or is gone.
  int label(std::int64_t index) const override;
  std::vector<std::uint8_t> encoded(std::int64_t index) const override;

 private:
  struct Sample {
    int label;
    std::vector<std::uint8_t> encoded;
    std::int64_t window;  // the newest that brought it
  };
  const Sample& sample(std::int64_t index) const;

  mutable std::mutex mutex_;
  std::unordered_map<std::int64_t, Sample> samples_;
  std::map<std::int64_t, std::vector<std::int64_t>> windows_;
};

}  // namespace lockstep
