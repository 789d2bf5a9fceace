#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/hdf5.h"
#include "data/hdf5_format.h"

namespace lockstep::hdf5 {

/// One contiguous dataset, row-major, without filters; its groups are made. `values` is the whole.
void write_dataset(const File& file, const std::string& name, ElementType type,
                   const std::vector<std::int64_t>& dims, std::span<const std::byte> values);

/// The same without values: the caller writes them into the file itself, after it is closed.
/// Returns where they belong: the offset in bytes in the file; 0 if there are none.
std::uint64_t reserve_dataset(const File& file, const std::string& name, ElementType type,
                              const std::vector<std::int64_t>& dims);

}  // namespace lockstep::hdf5
