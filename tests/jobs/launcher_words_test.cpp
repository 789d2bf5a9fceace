#include "jobs/launcher_words.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

const std::string kEdge(74, '-');
const std::string kAbort =
    kEdge + "\nMPI_ABORT was invoked on rank 0 in communicator MPI_COMM_WORLD\n  Errorcode: 66\n" +
    kEdge + "\n";
const std::string kExited = kEdge +
                            "\nprterun has exited due to process rank 0 with PID 0 on node a "
                            "calling\n\"abort\". This may have\n" +
                            kEdge + "\n";
const std::string kStopped = kEdge +
                             "\nprterun detected that one or more processes exited with non-zero "
                             "status,\n   Exit code:    75\n" +
                             kEdge + "\n";
const std::string kKilled =
    kEdge +
    "\nprterun noticed that process rank 0 with PID 17 on node a exited on\nsignal 9 (Killed).\n" +
    kEdge + "\n";

std::string shown(const std::string& text, std::size_t piece) {
  LauncherWords words;
  std::string all;
  for (std::size_t at = 0; at < text.size(); at += piece)
    all += words.pass(std::string_view(text).substr(at, piece));
  return all + words.rest();
}

TEST(LauncherWords, LeavesOutBoxesThatSayNothingNew) {
  const std::string before = "lockstep: error: rank 0: no file\n",
                    after = "- a line that is none\n\n";
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
    EXPECT_EQ(shown(before + kAbort + kExited + " " + kStopped + after, piece), before + after)
        << piece;
    EXPECT_EQ(shown(before + kKilled + kAbort + after, piece), before + kKilled + after) << piece;
  }
}

TEST(LauncherWords, ShowsWhatIsNoBoxAtOnce) {
  LauncherWords words;
  EXPECT_EQ(words.pass("\repoch 1"), "\repoch 1");  // a line of progress that does not end
  EXPECT_EQ(words.pass(" step 2\n-"), " step 2\n");
  EXPECT_EQ(words.pass("- dash\n" + kEdge + "\nnever closed"), "-- dash\n");
  EXPECT_EQ(words.rest(), kEdge + "\nnever closed");
  EXPECT_EQ(words.rest(), "");
  EXPECT_EQ(words.pass(std::string_view("\0", 1)) + words.rest(), "");
}

}  // namespace
}  // namespace lockstep
