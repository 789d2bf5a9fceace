#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// A file descriptor that closes itself. Offsets and sizes in bytes; every call retries EINTR.
class OpenFile {
 public:
  /// @throws MissingFileError or IoError naming the path. Symbolic links are followed.
  static OpenFile for_reading(const std::filesystem::path& path);
  /// Creates the file, or empties it.
  static OpenFile for_writing(const std::filesystem::path& path);
  /// For write_at; the file must exist and keeps what it has.
  static OpenFile for_update(const std::filesystem::path& path);
  OpenFile(OpenFile&& other) noexcept;
  OpenFile& operator=(OpenFile&& other) noexcept;
  ~OpenFile();

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t bytes() const;
  /// Reads up to bytes.size() at `offset`; less only at the end of the file. Safe from many
  /// threads.
  std::size_t read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  /// Appends all of `bytes`; short writes are continued.
  void write(std::span<const std::byte> bytes);
  void write_at(std::uint64_t offset, std::span<const std::byte> bytes);
  void sync();
  /// Lets the disk begin with what has been written there; sync() then has less to wait for. No
  /// promise.
  void start_writeback(std::uint64_t offset, std::uint64_t bytes) noexcept;
  /// Closes and reports what the operating system kept back until then (NFS). The destructor only
  /// logs.
  void close();

 private:
  OpenFile(int descriptor, std::filesystem::path path);
  int descriptor_ = -1;
  std::filesystem::path path_;
};

/// The whole file as text. @throws MissingFileError, IoError; DataError if larger than
/// `most_bytes`.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t most_bytes);

/// Writes the file and returns when it is on the disk (its name is so only after fsync_directory). One that cannot be
/// written whole is removed.
void write_file_durably(const std::filesystem::path& path, std::string_view text);

/// Forces a file that somebody else wrote (HDF5) to the disk.
void fsync_file(const std::filesystem::path& path);

/// Forces the names in a directory to the disk.
void fsync_directory(const std::filesystem::path& directory);

/// Creates `directory` and its parents, each name forced to the disk. Nothing happens if it exists.
void create_directories_durably(const std::filesystem::path& directory);

/// Renames, and returns when the new name is on the disk. Never replaces: IoError if `to` exists.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

/// Removes a directory and all below it; links are removed, not followed. Nothing there is no
/// error.
void remove_tree(const std::filesystem::path& directory);

/// xxh3-128 of a stream of bytes; `hex()` is what the command xxh128sum prints. It finds damage,
/// not forgery.
class Hash128 {
 public:
  Hash128();
  Hash128(Hash128&&) noexcept;
  Hash128& operator=(Hash128&&) noexcept;
  ~Hash128();
  void update(std::span<const std::byte> bytes);
  std::string hex() const;  // 32 digits, lower case; of what has come so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string hash128(std::span<const std::byte> bytes);
std::string hash128(std::string_view text);
std::uint64_t hash64(std::span<const std::byte> bytes);  // xxh3-64, for single samples

struct FileHash {
  std::uint64_t bytes = 0;
  std::string xxh3_128;
  bool operator==(const FileHash&) const = default;
};

/// Reads the whole file. @throws MissingFileError, IoError.
FileHash hash_file(const std::filesystem::path& path);

}  // namespace lockstep
