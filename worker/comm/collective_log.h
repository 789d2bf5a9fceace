#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

enum class CollectiveKind : std::uint8_t {
  kBarrier,
  kBroadcast,
  kAllGather,
  kGather,
  kAllReduce,
  kSplit,
  kSend,
  kRecv,
};
const char* to_string(CollectiveKind kind);

/// One collective (or message) of this rank, in fixed memory.
struct CollectiveRecord {
  static constexpr std::size_t kNameLength = 48;  // longer names are cut
  static constexpr std::size_t kGroupLength = 16;

  std::uint64_t sequence = 0;  // counts the collectives of the group; equal on all its ranks
  CollectiveKind kind = CollectiveKind::kBarrier;
  std::int64_t bytes = 0;                     // of this rank's buffer
  int peer = -1;                              // rank of the group at a message's other end
  std::int64_t begin_ns = 0;                  // steady clock
  std::int64_t end_ns = 0;                    // 0: still under way
  std::array<char, kNameLength> name = {};    // zero-terminated
  std::array<char, kGroupLength> group = {};  // zero-terminated name of the communicator

  bool under_way() const { return end_ns == 0; }
};

/// A name that is kept as long as what it names is under way: zero-terminated, cut as in the log.
using CollectiveName = std::array<char, CollectiveRecord::kNameLength>;
inline CollectiveName collective_name(std::string_view name) {
  CollectiveName kept = {};
  std::copy_n(name.data(), std::min(name.size(), kept.size() - 1), kept.data());
  return kept;
}

/// "world #17 all_reduce \"bucket 3\" 65536 bytes, 12.5 ms" or "..., under way for 3000.0 ms".
std::string describe(const CollectiveRecord& record, std::int64_t now_ns);

/// The last 256 collectives of this rank: what it was doing when something hangs. One thread
/// records; any thread (a watchdog) may take a snapshot. Recording allocates nothing, takes no lock
/// and reads the CPU's counter instead of the clock: 2 x 10 ns instead of 2 x 29.
class CollectiveLog {
 public:
  static constexpr std::size_t kCapacity = 256;

  CollectiveLog();

  /// Records the start of a collective. Returns the ticket for end().
  std::uint64_t begin(CollectiveKind kind, std::uint64_t sequence, std::int64_t bytes,
                      std::string_view name, std::string_view group, int peer = -1);
  /// Records its end. A record that was already overwritten is left alone.
  void end(std::uint64_t ticket);

  /// Copies the records, oldest first.
  std::vector<CollectiveRecord> snapshot() const;
  /// The newest record.
  std::optional<CollectiveRecord> last() const;
  /// All as text, one line each.
  std::string dump() const;
  /// How many were recorded since the start, the overwritten ones too.
  std::uint64_t count() const { return count_.load(std::memory_order_acquire); }
  static std::int64_t now_ns();

 private:
  /// A record in words, so that a reader beside the writer gets old or new ones, never half a word.
  /// The version is odd while they change: then, or if it changed meanwhile, the reader tries
  /// again.
  struct Entry {
    using Word = std::atomic<std::uint64_t>;
    Word version = 0;
    Word sequence = 0;
    std::atomic<CollectiveKind> kind = CollectiveKind::kBarrier;
    std::atomic<std::int64_t> bytes = 0;
    std::atomic<int> peer = -1;
    Word begin_ticks = 0;
    Word end_ticks = 0;  // 0: still under way
    std::array<Word, CollectiveRecord::kGroupLength / sizeof(std::uint64_t)> group = {};
    std::array<Word, CollectiveRecord::kNameLength / sizeof(std::uint64_t)> name = {};
  };
  CollectiveRecord read(const Entry& entry) const;

  std::array<Entry, kCapacity> entries_ = {};
  std::atomic<std::uint64_t> count_ = 0;
  std::uint64_t start_ticks_;  // both at the same moment: what turns ticks into nanoseconds
  std::int64_t start_ns_;
};

/// Begins in its constructor, ends in its destructor; left by an exception, the record stays open,
/// so that a dump shows what failed.
class CollectiveScope {
 public:
  CollectiveScope(CollectiveLog& log, CollectiveKind kind, std::uint64_t sequence,
                  std::int64_t bytes, std::string_view name, std::string_view group, int peer = -1);
  ~CollectiveScope();
  CollectiveScope(const CollectiveScope&) = delete;
  CollectiveScope& operator=(const CollectiveScope&) = delete;

 private:
  CollectiveLog& log_;
  std::uint64_t ticket_;
  int exceptions_at_begin_;
};

}  // namespace lockstep
