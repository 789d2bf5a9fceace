#include "worker/comm/shared_memory.h"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "data/error.h"
#include "worker/comm/communicator_state.h"

namespace lockstep {
namespace {

using Name = std::array<char, 64>;  // empty: there is none

// By this hash of bits 12 to 27 of a virtual address the first-level cache of AMD's Zen CPUs
// guesses where a line is. (Lipp et al. 2020, "Take A Way", figure 3.)
unsigned way_hash(std::size_t distance) {
  const auto bit = [&](int i) { return static_cast<unsigned>(distance >> i & 1); };
  return (bit(12) ^ bit(27)) | (bit(13) ^ bit(26)) << 1 | (bit(14) ^ bit(25)) << 2 |
         (bit(15) ^ bit(20)) << 3 | (bit(16) ^ bit(21)) << 4 | (bit(17) ^ bit(22)) << 5 |
         (bit(18) ^ bit(23)) << 6 | (bit(19) ^ bit(24)) << 7;
}

// Of the ranks' parts. Whole pages, and not such that the same place of two parts has the same
// hash: adding one part to another then drives the lines out of the first cache at every access
// (512 MiB apart: 421 us for 2 x 512 KiB instead of 50).
std::size_t distance_of_parts(std::size_t bytes, std::size_t ranks) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto collides = [&](std::size_t part) {
    for (std::size_t d = 1; d < ranks; ++d)
      if (way_hash(d * part) == 0) return true;
    return false;
  };
  std::size_t part = (bytes + page - 1) / page * page;
  for (int tries = 0; tries < 16 && collides(part); ++tries) part += page;
  return part;
}

bool has_room(int file, std::size_t bytes) {
  struct statvfs room = {};
  return fstatvfs(file, &room) == 0 && bytes / room.f_frsize < room.f_bavail;
}

// Enters the pages into this process's tables: else each is entered when it is first touched, in a
// step.
void enter_pages([[maybe_unused]] void* mapping, [[maybe_unused]] std::size_t bytes) {
#if defined(MADV_POPULATE_WRITE)
  madvise(mapping, bytes, MADV_POPULATE_WRITE);  // a wish: Linux 5.14
#endif
}

// A new object of this size, or -1. Its memory is taken by each rank for itself.
int create(Name& name, std::size_t bytes) {
  static int counter = 0;
  std::snprintf(name.data(), name.size(), "/lockstep-%d-%d", getpid(), counter++);
  const int file = shm_open(name.data(), O_CREAT | O_EXCL | O_RDWR, 0600);
  if (file < 0) {
    name = {};
    return -1;
  }
  if (has_room(file, bytes) && ftruncate(file, static_cast<off_t>(bytes)) == 0) return file;
  close(file);
  shm_unlink(name.data());
  name = {};
  return -1;
}

}  // namespace

SharedMemory::SharedMemory(const Communicator& group, std::size_t bytes, std::string_view name)
    : SharedMemory(group.state(), bytes, name) {}

SharedMemory::SharedMemory(std::size_t bytes) : bytes_(bytes), node_rank_(0), parts_(1, nullptr) {
  if (bytes > 0) map_private();
}

SharedMemory::SharedMemory(Communicator::State& group, std::size_t bytes, std::string_view name)
    : bytes_(bytes),
      node_rank_(group.node_rank),
      parts_(static_cast<std::size_t>(group.node_size), nullptr) {
  if (bytes == 0) return;
  if (group.node_size > 1 && map_shared(group, name)) return;
  map_private();
}

bool SharedMemory::map_shared(Communicator::State& group, std::string_view purpose) {
  const std::size_t part = distance_of_parts(bytes_, parts_.size());
  const std::size_t all = part * parts_.size();
  const std::size_t begin = part * static_cast<std::size_t>(node_rank_);
  Name name = {};
  const bool allowed = bytes_ <= group.options.shared_memory_bytes;  // the same on all ranks
  int file = node_rank_ == 0 && allowed ? create(name, all) : -1;
  check_mpi(MPI_Bcast(name.data(), static_cast<int>(name.size()), MPI_CHAR, 0, group.node),
            "MPI_Bcast", {purpose});
  if (node_rank_ != 0 && name[0] != '\0') file = shm_open(name.data(), O_RDWR, 0600);
  // Taken now: a page that cannot be had later would end the process (SIGBUS).
  bool good =
      file >= 0 && posix_fallocate(file, static_cast<off_t>(begin), static_cast<off_t>(part)) == 0;
  if (good) {
    void* p = mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    good = p != MAP_FAILED;
    if (good) {
      mapping_ = static_cast<std::byte*>(p);
      mapped_bytes_ = all;
      madvise(p, all, MADV_HUGEPAGE);  // a wish, as everywhere
    }
  }
  good = true_on_all(group.node, good, purpose);  // all have opened it, or it is given up
  if (file >= 0) close(file);
  if (node_rank_ == 0 && name[0] != '\0') shm_unlink(name.data());
  if (!good) {
    if (mapping_) munmap(mapping_, mapped_bytes_);
    mapping_ = nullptr;
    if (node_rank_ == 0) {
      spdlog::warn(
          "no room in /dev/shm for {} ranks x {} KiB ({}): they go another way, "
          "which is slower; give it more room (container: --shm-size)",
          parts_.size(), bytes_ >> 10, purpose);
    }
    return false;
  }
  enter_pages(mapping_, mapped_bytes_);
  for (std::size_t r = 0; r < parts_.size(); ++r) parts_[r] = mapping_ + r * part;
  return true;
}

void SharedMemory::map_private() {
  void* p = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) {
    throw IoError("cannot get " + std::to_string(bytes_ >> 20) +
                  " MiB of memory: use a smaller model or more memory");
  }
  madvise(p, bytes_, MADV_HUGEPAGE);
  mapping_ = static_cast<std::byte*>(p);
  mapped_bytes_ = bytes_;
  parts_[static_cast<std::size_t>(node_rank_)] = mapping_;
}

bool SharedMemory::shared() const {
  for (const std::byte* part : parts_) {
    if (part == nullptr) return false;
  }
  return parts_.size() > 1;
}

std::byte* SharedMemory::data() const { return of(node_rank_); }

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : bytes_(std::exchange(other.bytes_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)),
      node_rank_(other.node_rank_),
      parts_(std::move(other.parts_)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(bytes_, other.bytes_);
  std::swap(mapping_, other.mapping_);
  std::swap(mapped_bytes_, other.mapped_bytes_);
  std::swap(node_rank_, other.node_rank_);
  std::swap(parts_, other.parts_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (mapping_) munmap(mapping_, mapped_bytes_);
}

}  // namespace lockstep
