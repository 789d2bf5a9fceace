#include "coordinator/run_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <thread>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr RunLockOptions kQuick{.beat_s = 0.02, .grace_s = 0.05, .patience_s = 0.4};

class RunLockTest : public ::testing::Test {
 protected:
  fs::path lock() const { return fs::path(folder_.path()) / "lock"; }
  std::string text() const {
    std::ifstream file(lock());
    return {std::istreambuf_iterator<char>(file), {}};
  }
  /// The lock as it is while this process holds it, with one line changed.
  std::string held_with(const std::string& key, const std::string& value) {
    const RunLock held(folder_.path(), kQuick);
    std::string changed = text();
    const std::size_t begin = changed.find(key + " ") + key.size() + 1;
    return changed.replace(begin, changed.find('\n', begin) - begin, value);
  }
  void leave(const std::string& content) { std::ofstream(lock()) << content; }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder_.path()), {}));
  }

  TempFolder folder_;
};

TEST_F(RunLockTest, ASecondJobIsRefusedAndToldWho) {
  const RunLock first(folder_.path(), kQuick);
  try {
    const RunLock second(folder_.path(), kQuick);
    FAIL() << "two jobs in one directory";
  } catch (const ConfigError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("process " + std::to_string(getpid()) + " on "), std::string::npos)
        << message;
    EXPECT_NE(message.find(" since 20"), std::string::npos) << message;
  }
  EXPECT_EQ(files(), 1u);
}

TEST_F(RunLockTest, WithoutHardLinks) {
  RunLockOptions none = kQuick;
  none.hard_links = false;
  {
    const RunLock first(folder_.path(), none);
    EXPECT_THROW(RunLock(folder_.path(), none), ConfigError);
    EXPECT_THROW(RunLock(folder_.path(), kQuick), ConfigError);
    EXPECT_FALSE(first.lost());
  }
  EXPECT_EQ(files(), 0u);
  leave("");  // its writer died between open and write
  const RunLock third(folder_.path(), none);
  EXPECT_EQ(files(), 1u);
}

TEST_F(RunLockTest, ItIsGivenBack) {
  { const RunLock first(folder_.path(), kQuick); }
  EXPECT_EQ(files(), 0u);
  const RunLock second(folder_.path(), kQuick);
}

TEST_F(RunLockTest, OfAProcessThatWasKilledItIsTakenOverAtOnce) {
  const pid_t child = fork();
  if (child == 0) {
    static const RunLock held(folder_.path(), {});
    _exit(0);  // as by kill -9: nothing is given back
  }
  siginfo_t ended{};
  waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT);  // it stays a zombie
  ASSERT_TRUE(fs::exists(lock()));
  const RunLock mine(folder_.path(), {});  // a patience of 35 s that is not needed
  waitpid(child, nullptr, 0);
  EXPECT_NE(text().find("pid " + std::to_string(getpid()) + "\n"), std::string::npos) << text();
  EXPECT_EQ(files(), 1u);
}

TEST_F(RunLockTest, AnotherProcessOfTheSameNumberIsNotTheHolder) {
  leave(held_with("start", "1"));
  const RunLock mine(folder_.path(), {});
}

TEST_F(RunLockTest, AMachineThatBootedAgainHasLostIt) {
  leave(held_with("boot", "another"));
  const RunLock mine(folder_.path(), {});
}

TEST_F(RunLockTest, OfASilentProcessOnAnotherMachineItIsTakenOverAfterAWhile) {
  leave(held_with("host", "elsewhere"));
  const auto begin = std::chrono::steady_clock::now();
  const RunLock mine(folder_.path(), kQuick);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(400));
}

TEST_F(RunLockTest, AProcessOnAnotherMachineThatGivesSignsOfLifeHoldsIt) {
  const std::string held = held_with("host", "elsewhere");
  leave(held);
  std::atomic<bool> ending = false;
  std::thread other([&] {
    for (int beat = 0; !ending; ++beat) {
      std::ofstream(lock(), std::ios::in | std::ios::out).seekp(0, std::ios::end) << beat % 10;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  EXPECT_THROW(RunLock(folder_.path(), {.patience_s = 20}), ConfigError);
  ending = true;
  other.join();
}

TEST_F(RunLockTest, TheHolderGivesSignsOfLifeAndNoticesALoss) {
  RunLock mine(folder_.path(), kQuick);
  const std::string before = text();
  for (int i = 0; i < 1000 && text() == before; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_NE(text(), before);
  EXPECT_FALSE(mine.lost());
  fs::remove(lock());
  leave("host somebody\n");
  for (int i = 0; i < 1000 && !mine.lost(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(mine.lost());
}

TEST_F(RunLockTest, DamagedOnesAreTakenOver) {
  leave("nonsense");  // of no host: nobody gives signs of life
  const RunLock mine(folder_.path(), kQuick);
}

}  // namespace
}  // namespace lockstep
