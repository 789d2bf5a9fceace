#include "data/files.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "data/error.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

namespace lockstep {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const std::string& what, const fs::path& path, int code) {
  const std::string message = path.string() + ": cannot " + what + ": " + std::strerror(code);
  if (code == ENOENT || code == ENOTDIR) throw MissingFileError(message);
  throw IoError(message);
}

/// Calls a function of the operating system again for as long as a signal interrupts it.
template <class Call>
auto retry(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

int open_descriptor(const fs::path& path, int flags, const char* what) {
  const int descriptor = retry([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
  if (descriptor < 0) fail(what, path, errno);
  return descriptor;
}

fs::path parent_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

}  // namespace

OpenFile::OpenFile(int descriptor, fs::path path)
    : descriptor_(descriptor), path_(std::move(path)) {}

OpenFile OpenFile::for_reading(const fs::path& path) {
  return OpenFile(open_descriptor(path, O_RDONLY, "open"), path);
}

OpenFile OpenFile::for_writing(const fs::path& path) {
  return OpenFile(open_descriptor(path, O_WRONLY | O_CREAT | O_TRUNC, "create"), path);
}

OpenFile OpenFile::for_update(const fs::path& path) {
  return OpenFile(open_descriptor(path, O_RDWR, "open for writing"), path);
}

OpenFile::OpenFile(OpenFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

OpenFile& OpenFile::operator=(OpenFile&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(path_, other.path_);
  return *this;
}

OpenFile::~OpenFile() {
  if (descriptor_ >= 0 && ::close(descriptor_) != 0) {
    spdlog::error("{}: close failed: {}", path_.string(), std::strerror(errno));
  }
}

std::uint64_t OpenFile::bytes() const {
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) fail("tell the size", path_, errno);
  return static_cast<std::uint64_t>(info.st_size);
}

std::size_t OpenFile::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = retry([&] {
      return ::pread(descriptor_, bytes.data() + done, bytes.size() - done,
                     static_cast<off_t>(offset + done));
    });
    if (count < 0) fail("read at byte " + std::to_string(offset + done), path_, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  return done;
}

void OpenFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry([&] { return ::write(descriptor_, bytes.data(), bytes.size()); });
    if (count < 0) fail("write", path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
}

void OpenFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = retry([&] {
      return ::pwrite(descriptor_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    });
    if (count < 0) fail("write at byte " + std::to_string(offset), path_, errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
}

void OpenFile::sync() {
  if (retry([&] { return ::fsync(descriptor_); }) != 0) fail("fsync", path_, errno);
}

void OpenFile::start_writeback([[maybe_unused]] std::uint64_t offset,
                               [[maybe_unused]] std::uint64_t bytes) noexcept {
#ifdef SYNC_FILE_RANGE_WRITE
  static_cast<void>(::sync_file_range(descriptor_, static_cast<off64_t>(offset),
                                      static_cast<off64_t>(bytes), SYNC_FILE_RANGE_WRITE));
#endif
}

void OpenFile::close() {
  // Linux has released the descriptor even when close reports EINTR: never close twice.
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) fail("close", path_, errno);
}

std::string read_text_file(const fs::path& path, std::uint64_t most_bytes) {
  const OpenFile file = OpenFile::for_reading(path);
  const std::uint64_t bytes = file.bytes();
  if (bytes > most_bytes) {
    throw DataError(path.string() + ": " + std::to_string(bytes) + " bytes, but at most " +
                    std::to_string(most_bytes) + " make sense here");
  }
  std::string text(bytes, '\0');
  text.resize(file.read_at(0, std::as_writable_bytes(std::span(text))));
  return text;
}

void write_file_durably(const fs::path& path, std::string_view text) {
  OpenFile file = OpenFile::for_writing(path);
  try {
    file.write(std::as_bytes(std::span(text)));
    file.sync();
    file.close();
  } catch (const IoError&) {  // the disk is full, mostly: a part of the text is of no use
    std::error_code ignored;
    if (fs::is_regular_file(path, ignored)) fs::remove(path, ignored);  // no device: /dev/full
    throw;
  }
}

void fsync_file(const fs::path& path) {
  OpenFile file = OpenFile::for_reading(path);
  file.sync();
  file.close();
}

void fsync_directory(const fs::path& directory) {
  const int descriptor = open_descriptor(directory, O_RDONLY | O_DIRECTORY, "open the directory");
  const int result = retry([&] { return ::fsync(descriptor); });
  const int code = errno;
  ::close(descriptor);
  // Some network file systems cannot sync a directory and say EINVAL; their renames are
  // synchronous.
  if (result != 0 && code != EINVAL) fail("fsync the directory", directory, code);
}

void create_directories_durably(const fs::path& directory) {
  std::error_code ignored;
  if (directory.empty() || fs::is_directory(directory, ignored)) return;
  create_directories_durably(directory.parent_path());
  if (::mkdir(directory.c_str(), 0777) != 0 && errno != EEXIST) {
    fail("create the directory", directory, errno);
  }
  fsync_directory(parent_of(directory));
}

void rename_durably(const fs::path& from, const fs::path& to) {
  const std::string what = "rename to " + to.string();
  if (::syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) !=
      0) {
    if (errno != EINVAL && errno != ENOSYS) fail(what, from, errno);
    // A file system without RENAME_NOREPLACE: there is one coordinator, so nobody comes in between.
    std::error_code ignored;
    if (fs::exists(fs::symlink_status(to, ignored))) fail(what, from, EEXIST);
    if (::rename(from.c_str(), to.c_str()) != 0) fail(what, from, errno);
  }
  fsync_directory(parent_of(to));
  if (parent_of(from) != parent_of(to)) fsync_directory(parent_of(from));
}

void remove_tree(const fs::path& directory) {
  std::error_code error;
  fs::remove_all(directory, error);
  if (error && error.value() != ENOENT) fail("remove", directory, error.value());
}

}  // namespace lockstep
