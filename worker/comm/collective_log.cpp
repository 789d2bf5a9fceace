#include "worker/comm/collective_log.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>

namespace lockstep {
namespace {

template <std::size_t N>
void copy_name(std::string_view from, std::array<char, N>& to) {
  const std::size_t length = std::min(from.size(), N - 1);
  std::copy_n(from.data(), length, to.data());
  to[length] = '\0';
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
         std::to_string(record.bytes) + " bytes, " + (record.under_way() ? "under way for " : "") +
         milliseconds + " ms";
}

std::int64_t CollectiveLog::now_ns() {
  using std::chrono::steady_clock;
  return std::chrono::nanoseconds(steady_clock::now().time_since_epoch()).count();
}

std::uint64_t CollectiveLog::begin(CollectiveKind kind, std::uint64_t sequence, std::int64_t bytes,
                                   std::string_view name, std::string_view group) {
  const std::lock_guard<std::mutex> lock(mutex_);
  CollectiveRecord& record = records_[count_ % kCapacity];
  record.sequence = sequence;
  record.kind = kind;
  record.bytes = bytes;
  record.begin_ns = now_ns();
  record.end_ns = 0;
  copy_name(name, record.name);
  copy_name(group, record.group);
  return count_++;
}

void CollectiveLog::end(std::uint64_t ticket) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ticket + kCapacity < count_) return;
  records_[ticket % kCapacity].end_ns = now_ns();
}

std::vector<CollectiveRecord> CollectiveLog::snapshot() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<CollectiveRecord> records;
  const std::uint64_t first = count_ > kCapacity ? count_ - kCapacity : 0;
  records.reserve(static_cast<std::size_t>(count_ - first));
  for (std::uint64_t i = first; i < count_; ++i) records.push_back(records_[i % kCapacity]);
  return records;
}

std::string CollectiveLog::dump() const {
  std::string text;
  const std::int64_t now = now_ns();
  for (const CollectiveRecord& record : snapshot()) text += describe(record, now) + "\n";
  return text;
}

std::uint64_t CollectiveLog::count() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return count_;
}

CollectiveScope::CollectiveScope(CollectiveLog& log, CollectiveKind kind, std::uint64_t sequence,
                                 std::int64_t bytes, std::string_view name, std::string_view group)
    : log_(log),
      ticket_(log.begin(kind, sequence, bytes, name, group)),
      exceptions_at_begin_(std::uncaught_exceptions()) {}

CollectiveScope::~CollectiveScope() {
  if (std::uncaught_exceptions() == exceptions_at_begin_) log_.end(ticket_);
}

}  // namespace lockstep
