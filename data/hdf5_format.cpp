#include "data/hdf5_format.h"

#include <limits>

namespace lockstep::hdf5 {

std::size_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
      return 1;
    case ElementType::kUint64:
      return 8;
    default:
      return 4;
  }
}

const char* name_of(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "f32";
    case ElementType::kUint8:
      return "u8";
    case ElementType::kInt32:
      return "i32";
    case ElementType::kUint64:
      return "u64";
  }
  throw InternalError("hdf5: unknown element type");
}

std::int64_t elements_of(const std::vector<std::int64_t>& dims, const std::string& name) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 8;  // bytes fit as well
  std::int64_t elements = 1;
  for (const std::int64_t extent : dims) {
    if (extent < 0 || (extent > 0 && elements > kMost / extent)) {
      throw FormatError(name + ": dims " + to_text(dims) + " are not possible");
    }
    elements *= extent;
  }
  return elements;
}

std::string to_text(const std::vector<std::int64_t>& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

}  // namespace lockstep::hdf5
