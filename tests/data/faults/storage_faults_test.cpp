// Saves on a file system that fails at every single call in turn: the newest good checkpoint survives,
// and what is left over goes with the next start.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "data/checkpoint.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

struct Fault {
  std::string kind;
  int at = 0;
  int times = 1;
};

/// Hundreds of saves sync their files: in memory that costs nothing.
struct InMemory {
  InMemory() {
    if (fs::is_directory("/dev/shm")) setenv("TMPDIR", "/dev/shm", 0);
  }
};

class StorageFaults : public ::testing::Test {
 protected:
  fs::path checkpoints() const { return fs::path(folder_.path()) / "checkpoints"; }

  pid_t start(int step, const Fault& fault) const {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    setenv("FAULTY_UNDER", checkpoints().c_str(), 1);
    setenv("FAULTY_KIND", fault.kind.c_str(), 1);
    setenv("FAULTY_AT", std::to_string(fault.at).c_str(), 1);
    setenv("FAULTY_TIMES", std::to_string(fault.times).c_str(), 1);
    setenv("FAULTY_COUNT", (fs::path(folder_.path()) / "count").c_str(), 1);
    if (!fault.kind.empty()) setenv("LD_PRELOAD", LOCKSTEP_FAULTY_IO, 1);
    dup2(open((folder_.path() + "/err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644),
         STDERR_FILENO);
    execl(LOCKSTEP_SAVE_RUN, "save_run", checkpoints().c_str(), std::to_string(step).c_str(),
          nullptr);
    _exit(127);
  }

  /// Exit code, 128 + signal.
  int save(int step, const Fault& fault = {}) const {
    int status = 0;
    waitpid(start(step, fault), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  struct Counts {
    int changes = 0, writes = 0, fsyncs = 0, closes = 0;
  };
  /// Of a save while there is an older checkpoint.
  Counts count() {
    EXPECT_EQ(save(1), 0);
    EXPECT_EQ(save(2, {"count"}), 0);
    Counts counts;
    std::ifstream(folder_.path() + "/count") >> counts.changes >> counts.writes >> counts.fsyncs >>
        counts.closes;
    fs::remove_all(checkpoints());
    return counts;
  }

  /// The step of the newest good checkpoint, whose values must be that step's.
  std::int64_t newest() const {
    const NewestGood found = open_newest_good(checkpoints());
    EXPECT_TRUE(found.rejected.empty()) << found.rejected.front();
    if (!found.checkpoint) return 0;
    std::vector<float> values(3000);
    for (const char* name : {"parameters/weight", "momentum/weight"}) {
      found.checkpoint->read(name, values);
      for (float v : values) EXPECT_EQ(v, static_cast<float>(found.checkpoint->state().step));
    }
    return found.checkpoint->state().step;
  }

  /// After a fault at the save of step 2, with step 1 there: one of both is whole, and the next start
  /// leaves nothing of the fault.
  void expect_survival(bool published, const std::string& what) {
    remove_stale_temporaries(checkpoints());
    const std::int64_t step = newest();
    EXPECT_TRUE(step == 2 || (step == 1 && !published)) << what << ": step " << step;
    EXPECT_EQ(save(3), 0) << what;
    EXPECT_EQ(newest(), 3) << what;
    EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints()), {}), 1) << what;
    fs::remove_all(checkpoints());
  }

  std::string said() const {
    std::ifstream file(folder_.path() + "/err");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  InMemory in_memory_;  // before the folder
  TempFolder folder_;
};

TEST_F(StorageFaults, ACrashAtAnyCallOfASave) {
  const Counts counts = count();
  ASSERT_GT(counts.changes, 25);  // the library sees the calls
  ASSERT_GT(counts.writes, 8);
  ASSERT_GT(counts.fsyncs, 7);
  for (const char* kind : {"crash", "half"})
    for (int at = 1; at <= counts.changes; ++at) {
      const std::string what = std::string(kind) + " at call " + std::to_string(at);
      ASSERT_EQ(save(1), 0);
      EXPECT_EQ(save(2, {kind, at}), 128 + SIGKILL) << what;
      expect_survival(false, what);
    }
}

TEST_F(StorageFaults, ADiskThatIsFullFromAnyCallOn) {
  const Counts counts = count();
  for (int at = 1; at <= counts.changes; ++at) {
    const std::string what = "full from call " + std::to_string(at);
    ASSERT_EQ(save(1), 0);
    const int code = save(2, {"enospc", at, 1'000'000});
    EXPECT_TRUE(code == 74 || (code == 0 && at > 1)) << what << ": " << code;
    EXPECT_EQ(code == 74, said().find("No space left") != std::string::npos) << what << said();
    EXPECT_LT(said().size(), 500u) << what << said();  // not HDF5's whole stack
    expect_survival(code == 0, what);
  }
}

TEST_F(StorageFaults, AnErrorOfAnyWriteFsyncOrClose) {
  const Counts counts = count();
  const auto all = {std::pair("eio_write", counts.writes), std::pair("eio_fsync", counts.fsyncs),
                    std::pair("eio_close", counts.closes)};
  for (const auto& [kind, calls] : all)
    for (int at = 1; at <= calls; ++at) {
      const std::string what = std::string(kind) + " " + std::to_string(at);
      ASSERT_EQ(save(1), 0);
      const int code = save(2, {kind, at});
      EXPECT_TRUE(code == 74 || code == 0) << what << ": " << code << said();
      expect_survival(code == 0, what);
    }
}

TEST_F(StorageFaults, ShortWritesAndInterruptionsAreContinued) {
  for (const char* kind : {"short", "eintr"}) {
    ASSERT_EQ(save(1), 0);
    EXPECT_EQ(save(2, {kind}), 0) << kind << ": " << said();
    EXPECT_EQ(newest(), 2);
    expect_survival(true, kind);
  }
}

TEST_F(StorageFaults, ASaveThatHangsLeavesTheOlderOne) {
  ASSERT_EQ(save(1), 0);
  const pid_t pid = start(2, {"hang", 3});
  // It is in the hanging fsync when the second shard, or the index, is there and nothing changes any more.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0);
  EXPECT_EQ(newest(), 1);
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  expect_survival(false, "hang");
}

}  // namespace
}  // namespace lockstep
