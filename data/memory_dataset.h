#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lockstep {

/// A run of samples that lie one after the other in one file.
struct SampleFile {
  std::string path;
  std::int64_t first_sample = 0;
  std::int64_t first_byte = 0;    // offset of the first sample's record
  std::int64_t record_bytes = 0;  // from one sample to the next
};

/// Raw pictures of one size, held in memory: IDX and CIFAR, whose files are small and read at once.
class MemoryDataset : public Dataset {
 public:
  /// pixels: [samples,H,W,C]; labels: [samples]; files: in the order of samples.
  MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> pixels,
                std::vector<std::uint8_t> labels, std::vector<SampleFile> files);

  int label(std::int64_t index) const override;
  std::vector<std::uint8_t> encoded(std::int64_t index) const override;
  void read(std::int64_t index, Image& out) const override;
  std::uint64_t checksum(std::int64_t index) const override;
  bool has_checksums() const override { return true; }
  std::string where(std::int64_t index) const override;

 private:
  std::size_t sample_bytes_;
  std::vector<std::uint8_t> pixels_;
  std::vector<std::uint8_t> labels_;
  std::vector<SampleFile> files_;
};

// The sources, as open_dataset finds them.
std::unique_ptr<Dataset> open_idx(const DatasetOptions& options);
std::unique_ptr<Dataset> open_cifar10(const DatasetOptions& options);
std::unique_ptr<Dataset> open_cifar100(const DatasetOptions& options);

}  // namespace lockstep
