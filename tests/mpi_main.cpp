// The main of tests that run under mpirun: all tests on all ranks, in step. Rank 0 prints as usual,
// the others only their failures. Every rank ends with 1 if any failed on any rank; ranks that wait
// for one that hangs in a test end the job after a while.
#include <gtest/gtest.h>
#include <mpi.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "layers/cpu/instruction_set.h"
#include "worker/comm/mpi.h"

namespace {

constexpr double kPatienceSeconds = 45;

class RankPrinter : public testing::EmptyTestEventListener {
 public:
  explicit RankPrinter(int rank) : rank_(rank) {}

  void OnTestStart(const testing::TestInfo& test) override {
    name_ = std::string(test.test_suite_name()) + "." + test.name();
  }

  // Called with GoogleTest's lock held: must not ask it for the current test.
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::printf("[rank %d] %s: %s:%d\n%s\n", rank_, name_.c_str(),
                result.file_name() ? result.file_name() : "?", result.line_number(),
                result.message());
    std::fflush(stdout);
  }

 private:
  int rank_;
  std::string name_ = "outside of a test";
};

/// Meets the other ranks after each test, so that all know whether it failed anywhere.
class Meeting : public testing::EmptyTestEventListener {
 public:
  Meeting() { MPI_Comm_dup(MPI_COMM_WORLD, &comm_); }
  ~Meeting() override { MPI_Comm_free(&comm_); }
  Meeting(const Meeting&) = delete;
  Meeting& operator=(const Meeting&) = delete;

  bool failed_anywhere(bool failed_here, const char* where) {
    int mine = failed_here ? 1 : 0;
    int any = 0;
    MPI_Request request;
    MPI_Iallreduce(&mine, &any, 1, MPI_INT, MPI_MAX, comm_, &request);
    const double begin = MPI_Wtime();
    for (int done = 0; !done;) {
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      if (!done && MPI_Wtime() - begin > kPatienceSeconds) give_up(where);
      if (!done) usleep(100);
    }
    return any != 0;
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    any_failed_ |= failed_anywhere(test.result()->Failed(), test.name());
  }
  bool any_failed() const { return any_failed_; }

 private:
  [[noreturn]] static void give_up(const char* where) {
    std::printf("%s: another rank did not come to the end of this test within %.0f s\n", where,
                kPatienceSeconds);
    lockstep::MpiSession::abort(1);
  }

  MPI_Comm comm_ = MPI_COMM_NULL;
  bool any_failed_ = false;
};

int run_tests() {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (rank != 0) delete listeners.Release(listeners.default_result_printer());
  RankPrinter printer(rank);
  Meeting meeting;
  listeners.Append(&printer);
  listeners.Append(&meeting);
  const bool failed = RUN_ALL_TESTS() != 0;
  listeners.Release(&meeting);
  listeners.Release(&printer);
  const bool any_failed = meeting.failed_anywhere(failed || meeting.any_failed(), "all tests");
  if (rank == 0 && any_failed && !failed) std::printf("[  FAILED  ] on another rank, see above\n");
  return any_failed ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  lockstep::MpiSession session(argc, argv);
  // as the program does
  lockstep::cpu::use_instruction_set(lockstep::cpu::usable_instruction_set());
  testing::InitGoogleTest(&argc, argv);
  return run_tests();
}
