#include "jobs/launched_ranks.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

std::size_t entries(const std::filesystem::path& directory) {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator(directory), {}));
}

TEST(HeldDirectory, IsRemovedAtTheEnd) {
  const ProgramRoom room;
  {
    const HeldDirectory held(room.directory());
    EXPECT_EQ(entries(room.directory()), 1u);
    const HeldDirectory second(room.directory());  // leaves the first alone
    EXPECT_EQ(entries(room.directory()), 2u);
  }
  EXPECT_EQ(entries(room.directory()), 0u);
  EXPECT_EQ(HeldDirectory(room.directory() / "nowhere").path(), "");
}

TEST(HeldDirectory, TakesAwayWhatDeadOwnersLeftAndNothingElse) {
  const ProgramRoom room;
  std::filesystem::create_directory(room.directory() / "of-others");
  const HeldDirectory living(room.directory(), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    const HeldDirectory held(room.directory(), 0);
    _exit(held.path().empty() ? 1 : 0);  // as by kill -9: nothing is cleaned up
  }
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(entries(room.directory()), 3u);
  const HeldDirectory young(room.directory());  // too soon
  EXPECT_EQ(entries(room.directory()), 4u);
  const HeldDirectory next(room.directory(), 0);
  EXPECT_EQ(entries(room.directory()), 4u);
  EXPECT_TRUE(std::filesystem::exists(living.path()));
  EXPECT_TRUE(std::filesystem::exists(room.directory() / "of-others"));
}

}  // namespace
}  // namespace lockstep
