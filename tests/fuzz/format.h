#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"
#include "tests/fuzz/mutate.h"

namespace lockstep::fuzz {

/// What must never happen did: other content taken as good, an error without a type.
struct Finding : std::logic_error {
  using std::logic_error::logic_error;
};

/// Most memory that reading may take: `cap_bytes` and `per_byte` for every byte of the input.
struct MemoryBound {
  std::uint64_t cap_bytes;
  std::uint64_t per_byte;

  std::uint64_t of(const Input& input) const { return cap_bytes + per_byte * input.bytes(); }
};

/// One kind of files that lockstep reads.
class Format {
 public:
  virtual ~Format() = default;

  const std::string& name() const { return name_; }
  std::size_t files() const { return files_; }  // of an input
  int modes() const { return modes_; }          // 0 ... modes-1; 0: as the files are
  MemoryBound bound() const { return bound_; }

  /// Good inputs to start from.
  const std::vector<Input>& originals() const { return originals_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }

  /// Writes the files into `folder` if they must lie in some, and reads all that there is to read.
  /// Returns if everything was taken as good. @throws Error: refused, as it should be; Finding.
  virtual void read(const Input& input, const std::filesystem::path& folder) const = 0;

 protected:
  Format(std::string name, std::size_t files, int modes, MemoryBound bound)
      : name_(std::move(name)), files_(files), modes_(modes), bound_(bound) {}

  std::string name_;
  std::size_t files_;
  int modes_;
  MemoryBound bound_;
  std::vector<Input> originals_;
  Vocabulary vocabulary_;
};

/// "checkpoint", "packed", ...
const std::vector<std::string>& format_names();

/// Makes the originals in `folder`. @throws ConfigError: no such format.
std::unique_ptr<Format> make_format(const std::string& name, const std::filesystem::path& folder);

// The formats, each in a file of its own.
std::unique_ptr<Format> make_checkpoint_format(const std::filesystem::path& folder);
std::unique_ptr<Format> make_packed_format(const std::filesystem::path& folder);
std::unique_ptr<Format> make_idx_format();
std::unique_ptr<Format> make_cifar_format();
std::unique_ptr<Format> make_image_format();
std::unique_ptr<Format> make_masks_format();
std::unique_ptr<Format> make_job_format();

// For them.
std::string slurp(const std::filesystem::path& file);
/// Nothing is written for an empty file under kLeaveOutEmpty; what lay there is removed.
void spill(const std::filesystem::path& file, const std::string& bytes, std::uint8_t mode);

}  // namespace lockstep::fuzz
