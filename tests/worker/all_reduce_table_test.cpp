#include "worker/comm/all_reduce_table.h"

#include <gtest/gtest.h>

#include "data/error.h"
#include "worker/comm/all_reduce_bench.h"

namespace lockstep {
namespace {

constexpr auto kSums = SumKind::kSums;
constexpr auto kGradients = SumKind::kGradients;
const AllReduceTable kTable = {{{kSums, 512, SumMethod::kShared},
                                {kSums, 4096, SumMethod::kRecursiveDoubling},
                                {kGradients, 1 << 20, SumMethod::kHalvingDoubling},
                                {kGradients, AllReduceTable::kNoEnd, SumMethod::kMpi}}};

TEST(AllReduceTable, FindsTheFirstRowThatReaches) {
  EXPECT_EQ(kTable.find(kSums, 1), SumMethod::kShared);
  EXPECT_EQ(kTable.find(kSums, 512), SumMethod::kShared);
  EXPECT_EQ(kTable.find(kSums, 513), SumMethod::kRecursiveDoubling);
  EXPECT_EQ(kTable.find(kSums, 4097), std::nullopt);
  EXPECT_EQ(kTable.find(kGradients, 1), SumMethod::kHalvingDoubling);
  EXPECT_EQ(kTable.find(kGradients, std::size_t{1} << 40), SumMethod::kMpi);
  EXPECT_EQ(AllReduceTable{}.find(kSums, 1), std::nullopt);
}

TEST(AllReduceTable, IsReadAsItWasWritten) {
  const std::string text = with_table("", {4, 2}, kTable);
  EXPECT_EQ(read_table(text, {4, 2}, "file").rows, kTable.rows);
  EXPECT_TRUE(read_table(text, {4, 1}, "file").rows.empty());
  EXPECT_TRUE(read_table("\n  # nothing\n", {4, 2}, "file").rows.empty());
}

TEST(AllReduceTable, ReplacesTheRowsOfItsGridOnly) {
  const AllReduceTable other = {{{kSums, AllReduceTable::kNoEnd, SumMethod::kRing}}};
  std::string text = with_table("# kept\n", {4, 2}, kTable);
  text = with_table(text, {2, 1}, other);
  text = with_table(text, {4, 2}, other);
  EXPECT_EQ(text, "# kept\n2 1 sums max ring\n4 2 sums max ring\n");
}

TEST(AllReduceTable, WrongLinesAreNamed) {
  for (const auto& [text, complaint] : {
           std::pair{"2 1 sums 10\n", "table:1: this line is not RANKS NODES"},
           {"2 1 sums 10 ring 7\n", "table:1: this line is not RANKS NODES"},
           {"# x\n2 1 sum 10 ring\n", "table:2: this line has a kind"},
           {"2 1 sums -1 ring\n", "has UP_TO_BYTES"},
           {"2 1 sums 10 rings\n", "has a method"},
           {"3 1 gradients 10 recursive-doubling\n", "beside computation"},
           {"2 1 sums 10 ring\n2 1 sums 10 mpi\n", "table:2: this line does not reach further"},
       }) {
    try {
      read_table(text, {2, 1}, "table");
      ADD_FAILURE() << "accepted: " << text;
    } catch (const ConfigError& error) {
      EXPECT_NE(std::string(error.what()).find(complaint), std::string::npos) << error.what();
    }
  }
}

TEST(AllReduceTable, IsMadeOfTheFastest) {
  const auto shared = SumMethod::kShared, ring = SumMethod::kRing;
  const std::vector<MethodSpeeds> speeds = {
      {kSums, 128, {{shared, 1.2}, {ring, 1.1}}},       {kSums, 512, {{shared, 1.3}, {ring, 0.9}}},
      {kSums, 2048, {{shared, 1.0}, {ring, 1.1}}},      {kGradients, 2048, {{ring, 2.0}}},
      {kGradients, 8192, {{shared, 0.9}, {ring, 0.8}}},
  };
  const AllReduceTable expected = {{{kSums, 512, shared},
                                    {kSums, AllReduceTable::kNoEnd, ring},
                                    {kGradients, 2048, ring},
                                    {kGradients, AllReduceTable::kNoEnd, SumMethod::kMpi}}};
  EXPECT_EQ(table_of(speeds).rows, expected.rows);
  EXPECT_TRUE(table_of({}).rows.empty());
}

}  // namespace
}  // namespace lockstep
