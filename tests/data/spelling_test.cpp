#include "data/spelling.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(Spelling, DistanceCountsEditsAndSwaps) {
  EXPECT_EQ(edit_distance("", "abc"), 3);
  EXPECT_EQ(edit_distance("batch", "batch"), 0);
  EXPECT_EQ(edit_distance("bacth", "batch"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(Spelling, NearestWordAndLists) {
  EXPECT_EQ(nearest_word("tran", {"plan", "train", "eval"}), "train");
  EXPECT_EQ(nearest_word("x", {}), "");
  EXPECT_EQ(join_words({"a"}), "a");
  EXPECT_EQ(join_words({"a", "b", "c"}), "a, b or c");
}

}  // namespace
}  // namespace lockstep
