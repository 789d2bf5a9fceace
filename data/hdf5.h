#pragma once
#include <hdf5.h>

#include <cstdint>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>

#include "data/error.h"

/// HDF5's C API for writing, wrapped once: handles that close themselves, one call that throws, one
/// lock. Reading needs none of it (hdf5_reader.h).
/// Only files of data/ include this.
namespace lockstep::hdf5 {

/// The library is not thread safe, and a checkpoint is written while the loader reads: whoever
/// calls H5... holds this. It may be taken twice by one thread. It also keeps HDF5 from printing
/// errors.
class Lock {
 public:
  Lock();

 private:
  std::lock_guard<std::recursive_mutex> guard_;
};

/// What is said of a failed call. `reason`: the innermost line of the library's error stack. Where that has an error of
/// the operating system: "No space left on device (FILE: TENSOR)".
std::string error_text(const std::string& call, const std::string& where,
                       const std::string& reason);

/// A call of the library failed: error_text().
struct CallError : IoError {
  explicit CallError(const std::string& message) : IoError(message) {}
};

[[noreturn]] void throw_call_error(const char* call, const std::string& where);
void log_failed_close(const char* what) noexcept;

/// check(H5Dopen2(...), "H5Dopen2", "shard-000.h5: momentum/fc.bias"), under a Lock.
template <class Result>
Result check(Result result, const char* call, const std::string& where) {
  if (result < 0) throw_call_error(call, where);
  return result;
}

/// Owns an identifier; closes it under the lock. A destructor that fails to close logs.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, H5I_INVALID_HID)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    if (id_ < 0) return;
    const Lock lock;
    if (Close(id_) < 0) log_failed_close("an HDF5 object");
  }

  hid_t get() const { return id_; }

  /// For files written: this is where errors of the last flush appear.
  void close(const std::string& where) {
    const Lock lock;
    if (id_ >= 0) check(Close(std::exchange(id_, H5I_INVALID_HID)), "H5*close", where);
  }

 private:
  hid_t id_ = H5I_INVALID_HID;
};

using File = Handle<H5Fclose>;
using Dataset = Handle<H5Dclose>;
using Dataspace = Handle<H5Sclose>;
using Datatype = Handle<H5Tclose>;
using Attribute = Handle<H5Aclose>;
using PropertyList = Handle<H5Pclose>;

/// A new file; what is there is emptied. Advisory locking is off: Lustre and NFS often refuse it.
/// The first `user_block_bytes` (0, or a power of two from 512) are left to the caller.
File create_file(const std::filesystem::path& path, std::uint64_t user_block_bytes = 0);

/// Flushes and closes; the file is then with the operating system, not yet on the disk
/// (fsync_file).
void finish_file(File& file, const std::string& where);

/// Attributes of the root group, for people who look into the file.
void set_attribute(const File& file, const char* name, const std::string& value);
void set_attribute(const File& file, const char* name, std::int64_t value);

/// Makes `name` in `file` lead to the same name in the file `target`, beside it. Groups are made.
void add_external_link(const File& file, const std::string& name, const std::string& target);

/// Property list for links: intermediate groups are created. Names are ASCII for HDF5: others would
/// make it write groups of the newer kind, which hdf5_reader.h does not read.
PropertyList link_properties();

}  // namespace lockstep::hdf5
