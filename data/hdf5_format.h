#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "data/error.h"

/// What reading and writing HDF5 files have in common.
namespace lockstep::hdf5 {

/// A file holds something that lockstep never writes, so it is not read.
struct FormatError : DataError {
  explicit FormatError(const std::string& message) : DataError(message) {}
};

/// The element types that lockstep stores, little-endian.
enum class ElementType { kFloat32, kUint8, kInt32, kUint64 };

std::size_t bytes_of(ElementType type);
const char* name_of(ElementType type);  // "f32", "u8", "i32", "u64"

/// Number of elements; {} is a scalar. @throws FormatError: a negative or absurdly large extent.
std::int64_t elements_of(const std::vector<std::int64_t>& dims, const std::string& name);

std::string to_text(const std::vector<std::int64_t>& dims);  // "[64,3,7,7]"

}  // namespace lockstep::hdf5
