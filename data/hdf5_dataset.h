#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"

namespace lockstep::hdf5 {

/// The element types that lockstep stores, little-endian.
enum class ElementType { kFloat32, kUint8, kInt32, kUint64 };

std::size_t bytes_of(ElementType type);
const char* name_of(ElementType type);  // "f32", "u8", "i32", "u64"

/// Number of elements; {} is a scalar. @throws FormatError: a negative or absurdly large extent.
std::int64_t elements_of(const std::vector<std::int64_t>& dims, const std::string& name);

/// One contiguous dataset, row-major, without filters; its groups are made. `values` is the whole.
void write_dataset(const File& file, const std::string& name, ElementType type,
                   const std::vector<std::int64_t>& dims, std::span<const std::byte> values);

/// A contiguous dataset whose values the caller writes into the file itself, after it is closed.
/// Returns where they belong: the offset in bytes in the file.
std::uint64_t reserve_dataset(const File& file, const std::string& name, ElementType type,
                              std::int64_t elements);

/// Checks that every link of the file is an ordinary one and leads to a dataset in `names` or to a
/// group on the way to one, and that each name is there. @throws FormatError with the link's name.
void check_only(const File& file, const std::string& where, const std::set<std::string>& names);

/// What a dataset of ours is like. Checking it opens nothing but this object.
struct DatasetShape {
  std::vector<std::int64_t> dims;
  std::uint64_t offset = 0;  // of the values in the file; 0 when there are none
};

/// @throws FormatError unless `name` is contiguous, unfiltered, in this file, of this type.
DatasetShape inspect_dataset(const File& file, const std::string& where, const std::string& name,
                             ElementType type);

/// Reads all of it. @throws FormatError as above, or when its dims are not `dims`.
void read_dataset(const File& file, const std::string& where, const std::string& name,
                  ElementType type, const std::vector<std::int64_t>& dims,
                  std::span<std::byte> values);

}  // namespace lockstep::hdf5
