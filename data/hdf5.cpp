#include "data/hdf5.h"

#include <spdlog/spdlog.h>

#include <cerrno>

namespace lockstep::hdf5 {
namespace {

std::recursive_mutex& library_mutex() {
  static std::recursive_mutex mutex;
  return mutex;
}

/// Keeps the first line of the library's stack that it is given: the innermost, which has the reason.
herr_t keep_first(unsigned, const H5E_error2_t* error, void* text) {
  auto& message = *static_cast<std::string*>(text);
  if (message.empty() && error->desc != nullptr) message = error->desc;
  return 0;
}

/// The text between two others; "" where they are not there.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const std::size_t begin = text.find(before);
  if (begin == std::string::npos) return "";
  const std::size_t end = text.find(after, begin + before.size());
  return text.substr(begin + before.size(), end - begin - before.size());
}

PropertyList file_access() {
  PropertyList access(check(H5Pcreate(H5P_FILE_ACCESS), "H5Pcreate", "file access"));
#if H5_VERSION_GE(1, 10, 7)
  check(H5Pset_file_locking(access.get(), false, true), "H5Pset_file_locking", "file access");
#endif
  // The format of HDF5 1.6, as it is by default today: hdf5_reader.h reads no other.
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST),
        "H5Pset_libver_bounds", "access");
  // Closing the file closes all of it: no object left open keeps a damaged file alive.
  check(H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG), "H5Pset_fclose_degree", "access");
  return access;
}

void write_attribute(const File& file, const char* name, hid_t file_type, hid_t memory_type,
                     const void* value) {
  const Dataspace scalar(check(H5Screate(H5S_SCALAR), "H5Screate", name));
  const Attribute attribute(
      check(H5Acreate2(file.get(), name, file_type, scalar.get(), H5P_DEFAULT, H5P_DEFAULT),
            "H5Acreate2", name));
  check(H5Awrite(attribute.get(), memory_type, value), "H5Awrite", name);
}

}  // namespace

Lock::Lock() : guard_(library_mutex()) {
  // No clean-up at exit: after a full disk HDF5 would try once more to write the file that it could
  // not close, and crash. Every object is closed by its handle.
  static const herr_t no_exit_handler = H5dont_atexit();
  static_cast<void>(no_exit_handler);
  // Builds with thread safety keep the error handler per thread: set it wherever we come from.
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

std::string error_text(const std::string& call, const std::string& where,
                       const std::string& reason) {
  const std::string system = between(reason, "error message = '", "'");
  if (system.empty())
    return where + ": " + call + " failed: " + (reason.empty() ? "no reason given" : reason);
  const std::string file = between(reason, "filename = '", "'");
  const bool known = file.empty() || where.find(file) != std::string::npos;
  return system + " (" + (known ? where : file + ": " + where) + ")";
}

void throw_call_error(const char* call, const std::string& where) {
  std::string reason;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &reason);
  throw CallError(error_text(call, where, reason));
}

void log_failed_close(const char* what) noexcept {
  spdlog::error("HDF5: closing {} failed; the file may be incomplete", what);
}

File create_file(const std::filesystem::path& path, std::uint64_t user_block_bytes) {
  const Lock lock;
  const PropertyList access = file_access();
  const PropertyList creation(check(H5Pcreate(H5P_FILE_CREATE), "H5Pcreate", "file creation"));
  // No times of change in the file: the same state gives the same bytes.
  check(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", path.string());
  check(H5Pset_userblock(creation.get(), user_block_bytes), "H5Pset_userblock", path.string());
  hid_t file = H5I_INVALID_HID;
  do {  // HDF5 goes on with a write that a signal interrupts, but not with an open
    errno = 0;
    file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation.get(), access.get());
  } while (file < 0 && errno == EINTR);
  return File(check(file, "H5Fcreate", path.string()));
}

void finish_file(File& file, const std::string& where) {
  const Lock lock;
  check(H5Fflush(file.get(), H5F_SCOPE_LOCAL), "H5Fflush", where);
  file.close(where);
}

void set_attribute(const File& file, const char* name, const std::string& value) {
  const Lock lock;
  const Datatype type(check(H5Tcopy(H5T_C_S1), "H5Tcopy", name));
  check(H5Tset_size(type.get(), H5T_VARIABLE), "H5Tset_size", name);
  check(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset", name);
  const char* text = value.c_str();
  write_attribute(file, name, type.get(), type.get(), &text);
}

void set_attribute(const File& file, const char* name, std::int64_t value) {
  const Lock lock;
  write_attribute(file, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value);
}

PropertyList link_properties() {
  const Lock lock;
  PropertyList links(check(H5Pcreate(H5P_LINK_CREATE), "H5Pcreate", "links"));
  check(H5Pset_create_intermediate_group(links.get(), 1), "H5Pset_create_intermediate_group",
        "links");
  return links;
}

void add_external_link(const File& file, const std::string& name, const std::string& target) {
  const Lock lock;
  const PropertyList links = link_properties();
  check(H5Lcreate_external(target.c_str(), ("/" + name).c_str(), file.get(), name.c_str(),
                           links.get(), H5P_DEFAULT),
        "H5Lcreate_external", name + " -> " + target);
}

}  // namespace lockstep::hdf5
