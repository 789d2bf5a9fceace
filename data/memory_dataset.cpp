#include "data/memory_dataset.h"

#include <algorithm>
#include <span>
#include <utility>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {

MemoryDataset::MemoryDataset(DatasetInfo info, std::vector<std::uint8_t> pixels,
                             std::vector<std::uint8_t> labels, std::vector<SampleFile> files)
    : Dataset(std::move(info)),
      sample_bytes_(static_cast<std::size_t>(info_.height) * static_cast<std::size_t>(info_.width) *
                    static_cast<std::size_t>(info_.channels)),
      pixels_(std::move(pixels)),
      labels_(std::move(labels)),
      files_(std::move(files)) {
  if (pixels_.size() != sample_bytes_ * labels_.size() ||
      labels_.size() != static_cast<std::size_t>(info_.samples)) {
    throw InternalError("MemoryDataset: pixels, labels and info do not have the same samples");
  }
}

int MemoryDataset::label(std::int64_t index) const {
  return labels_[static_cast<std::size_t>(index)];
}

std::vector<std::uint8_t> MemoryDataset::encoded(std::int64_t index) const {
  const std::uint8_t* first = pixels_.data() + static_cast<std::size_t>(index) * sample_bytes_;
  return {first, first + sample_bytes_};
}

void MemoryDataset::read(std::int64_t index, Image& out) const {
  const std::uint8_t* first = pixels_.data() + static_cast<std::size_t>(index) * sample_bytes_;
  out.height = info_.height;
  out.width = info_.width;
  out.channels = info_.channels;
  out.pixels.assign(first, first + sample_bytes_);
}

std::uint64_t MemoryDataset::checksum(std::int64_t index) const {
  const std::span pixels(pixels_);
  return hash64(std::as_bytes(
      pixels.subspan(static_cast<std::size_t>(index) * sample_bytes_, sample_bytes_)));
}

std::string MemoryDataset::where(std::int64_t index) const {
  const SampleFile* file = &files_.front();
  for (const SampleFile& candidate : files_) {
    if (candidate.first_sample <= index) file = &candidate;
  }
  const std::int64_t offset = file->first_byte + (index - file->first_sample) * file->record_bytes;
  return file->path + ", offset " + std::to_string(offset);
}

}  // namespace lockstep
