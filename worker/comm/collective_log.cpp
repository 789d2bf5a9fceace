#include "worker/comm/collective_log.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <exception>

#include "data/timing.h"

namespace lockstep {
namespace {

using Word = std::atomic<std::uint64_t>;

// Zero-terminated, cut to `bytes`; words after the zero stay as they are.
void store_text(std::string_view text, Word* words, std::size_t bytes) {
  text = text.substr(0, bytes - 1);
  for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t)), ++words) {
    std::uint64_t word;
    std::memcpy(&word, text.data(), sizeof word);
    words->store(word, std::memory_order_relaxed);
  }
  std::uint64_t last = 0;
  char* end = reinterpret_cast<char*>(&last);
  for (const char c : text) *end++ = c;
  words->store(last, std::memory_order_relaxed);
}

template <std::size_t N, std::size_t M>
void load_text(const std::array<Word, N>& words, std::array<char, M>& text) {
  static_assert(N * sizeof(std::uint64_t) == M);
  for (std::size_t i = 0; i < N; ++i) {
    const std::uint64_t word = words[i].load(std::memory_order_relaxed);
    std::memcpy(text.data() + i * sizeof word, &word, sizeof word);
  }
}

}  // namespace

const char* to_string(CollectiveKind kind) {
  switch (kind) {
    case CollectiveKind::kBarrier:
      return "barrier";
    case CollectiveKind::kBroadcast:
      return "broadcast";
    case CollectiveKind::kAllGather:
      return "all_gather";
    case CollectiveKind::kGather:
      return "gather";
    case CollectiveKind::kAllReduce:
      return "all_reduce";
    case CollectiveKind::kSplit:
      return "split";
    case CollectiveKind::kSend:
      return "send";
    case CollectiveKind::kRecv:
      return "recv";
  }
  return "unknown";
}

std::string describe(const CollectiveRecord& record, std::int64_t now_ns) {
  const std::int64_t end_ns = record.under_way() ? now_ns : record.end_ns;
  char milliseconds[32];
  std::snprintf(milliseconds, sizeof milliseconds, "%.1f",
                static_cast<double>(end_ns - record.begin_ns) * 1e-6);
  return std::string(record.group.data()) + " #" + std::to_string(record.sequence) + " " +
         to_string(record.kind) + " \"" + record.name.data() + "\" " +
         std::to_string(record.bytes) + " bytes, " +
         (record.peer >= 0 ? "peer rank " + std::to_string(record.peer) + ", " : "") +
         (record.under_way() ? "under way for " : "") + milliseconds + " ms";
}

std::int64_t CollectiveLog::now_ns() {
  using std::chrono::steady_clock;
  return std::chrono::nanoseconds(steady_clock::now().time_since_epoch()).count();
}

CollectiveLog::CollectiveLog() : start_ticks_(ticks_now()), start_ns_(now_ns()) {}

std::uint64_t CollectiveLog::begin(CollectiveKind kind, std::uint64_t sequence, std::int64_t bytes,
                                   std::string_view name, std::string_view group, int peer) {
  const std::uint64_t ticket = count_.load(std::memory_order_relaxed);
  Entry& entry = entries_[ticket % kCapacity];
  const std::uint64_t version = entry.version.load(std::memory_order_relaxed);
  entry.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  entry.sequence.store(sequence, std::memory_order_relaxed);
  entry.kind.store(kind, std::memory_order_relaxed);
  entry.bytes.store(bytes, std::memory_order_relaxed);
  entry.peer.store(peer, std::memory_order_relaxed);
  store_text(name, entry.name.data(), CollectiveRecord::kNameLength);
  store_text(group, entry.group.data(), CollectiveRecord::kGroupLength);
  entry.begin_ticks.store(ticks_now(), std::memory_order_relaxed);
  entry.end_ticks.store(0, std::memory_order_relaxed);
  entry.version.store(version + 2, std::memory_order_release);
  count_.store(ticket + 1, std::memory_order_release);
  return ticket;
}

void CollectiveLog::end(std::uint64_t ticket) {
  if (ticket + kCapacity < count_.load(std::memory_order_relaxed)) return;
  entries_[ticket % kCapacity].end_ticks.store(ticks_now(), std::memory_order_relaxed);
}

CollectiveRecord CollectiveLog::read(const Entry& entry) const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  CollectiveRecord record;
  std::uint64_t begin = 0, end = 0;
  for (bool torn = true; torn;) {
    const std::uint64_t version = entry.version.load(std::memory_order_acquire);
    record.sequence = entry.sequence.load(kRelaxed);
    record.kind = entry.kind.load(kRelaxed);
    record.bytes = entry.bytes.load(kRelaxed);
    record.peer = entry.peer.load(kRelaxed);
    load_text(entry.name, record.name);
    load_text(entry.group, record.group);
    begin = entry.begin_ticks.load(kRelaxed);
    end = entry.end_ticks.load(kRelaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    torn = version % 2 != 0 || entry.version.load(kRelaxed) != version;
  }
  const double nanoseconds = static_cast<double>(now_ns() - start_ns_);
  const double ticks = static_cast<double>(ticks_now() - start_ticks_);
  const auto to_ns = [&](std::uint64_t then) {
    const auto since_start = static_cast<double>(then - start_ticks_);
    return start_ns_ + static_cast<std::int64_t>(since_start * nanoseconds / std::max(ticks, 1.0));
  };
  record.begin_ns = to_ns(begin);
  record.end_ns = end == 0 ? 0 : to_ns(end);
  return record;
}

std::vector<CollectiveRecord> CollectiveLog::snapshot() const {
  std::vector<CollectiveRecord> records;
  const std::uint64_t last = count();
  const std::uint64_t first = last > kCapacity ? last - kCapacity : 0;
  records.reserve(static_cast<std::size_t>(last - first));
  for (std::uint64_t i = first; i < last; ++i) records.push_back(read(entries_[i % kCapacity]));
  return records;
}

std::optional<CollectiveRecord> CollectiveLog::last() const {
  const std::uint64_t all = count();
  if (all == 0) return std::nullopt;
  return read(entries_[(all - 1) % kCapacity]);
}

std::string CollectiveLog::dump() const {
  std::string text;
  const std::int64_t now = now_ns();
  for (const CollectiveRecord& record : snapshot()) text += describe(record, now) + "\n";
  return text;
}

CollectiveScope::CollectiveScope(CollectiveLog& log, CollectiveKind kind, std::uint64_t sequence,
                                 std::int64_t bytes, std::string_view name, std::string_view group,
                                 int peer)
    : log_(log),
      ticket_(log.begin(kind, sequence, bytes, name, group, peer)),
      exceptions_at_begin_(std::uncaught_exceptions()) {}

CollectiveScope::~CollectiveScope() {
  if (std::uncaught_exceptions() == exceptions_at_begin_) log_.end(ticket_);
}

}  // namespace lockstep
