#include "worker/comm/collective_log.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

namespace lockstep {
namespace {

TEST(CollectiveLog, KeepsTheLast256) {
  CollectiveLog log;
  for (std::uint64_t i = 0; i < 300; ++i) {
    log.end(log.begin(CollectiveKind::kBarrier, i, 8, "step", "world"));
  }
  const auto records = log.snapshot();
  EXPECT_EQ(log.count(), 300u);
  ASSERT_EQ(records.size(), CollectiveLog::kCapacity);
  EXPECT_EQ(records.front().sequence, 300 - CollectiveLog::kCapacity);
  EXPECT_EQ(records.back().sequence, 299u);
  EXPECT_FALSE(records.back().under_way());
}

TEST(CollectiveLog, EndsTheRightOneOfSeveralUnderWay) {
  CollectiveLog log;
  const auto first = log.begin(CollectiveKind::kAllReduce, 1, 4, "bucket 0", "world");
  log.begin(CollectiveKind::kAllReduce, 2, 4, "bucket 1", "world");
  log.end(first);
  const auto records = log.snapshot();
  EXPECT_FALSE(records[0].under_way());
  EXPECT_TRUE(records[1].under_way());
  EXPECT_GE(records[0].end_ns, records[0].begin_ns);
}

TEST(CollectiveLog, ALateEndDoesNotTouchTheRecordThatTookItsPlace) {
  CollectiveLog log;
  const auto old = log.begin(CollectiveKind::kAllReduce, 0, 4, "old", "world");
  for (std::size_t i = 0; i < CollectiveLog::kCapacity; ++i) {
    log.begin(CollectiveKind::kSend, i + 1, 4, "new", "world");
  }
  log.end(old);
  for (const auto& record : log.snapshot()) EXPECT_TRUE(record.under_way());
}

TEST(CollectiveLog, CutsLongNames) {
  CollectiveLog log;
  log.begin(CollectiveKind::kSend, 1, 4, std::string(100, 'n'), std::string(100, 'g'));
  const CollectiveRecord record = log.snapshot().front();
  EXPECT_EQ(std::string(record.name.data()), std::string(CollectiveRecord::kNameLength - 1, 'n'));
  EXPECT_EQ(std::string(record.group.data()), std::string(CollectiveRecord::kGroupLength - 1, 'g'));
}

TEST(CollectiveLog, AScopeLeftByAnExceptionStaysOpen) {
  CollectiveLog log;
  try {
    const CollectiveScope scope(log, CollectiveKind::kBarrier, 1, 0, "meets nobody", "world");
    throw std::runtime_error("peer is gone");
  } catch (const std::runtime_error&) {
  }
  EXPECT_TRUE(log.snapshot().front().under_way());
  EXPECT_NE(log.dump().find("world #1 barrier \"meets nobody\" 0 bytes, under way for"),
            std::string::npos);
}

TEST(CollectiveLog, DescribesARecordInOneLine) {
  CollectiveRecord record;
  record.sequence = 17;
  record.kind = CollectiveKind::kAllReduce;
  record.bytes = 65536;
  record.begin_ns = 1'000'000;
  record.end_ns = 13'500'000;
  std::copy_n("bucket 3", 9, record.name.data());
  std::copy_n("world", 6, record.group.data());
  EXPECT_EQ(describe(record, 0), "world #17 all_reduce \"bucket 3\" 65536 bytes, 12.5 ms");
  record.end_ns = 0;
  EXPECT_EQ(describe(record, 2'001'000'000),
            "world #17 all_reduce \"bucket 3\" 65536 bytes, under way for 2000.0 ms");
}

}  // namespace
}  // namespace lockstep
