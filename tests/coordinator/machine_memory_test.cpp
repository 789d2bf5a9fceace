#include "coordinator/machine_memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

class MachineMemory : public ::testing::Test {
 protected:
  void write(const std::filesystem::path& file, const std::string& text) {
    const auto path = folder_.path() / file;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  TempFolder folder_;
};

TEST_F(MachineMemory, IsThatOfTheMachineWithoutControlGroups) {
  const std::size_t physical = machine_memory(folder_.path());
  EXPECT_GT(physical, std::size_t{256} << 20);
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/memory.max", "max\n");
  EXPECT_EQ(machine_memory(folder_.path()), physical);
}

TEST_F(MachineMemory, IsTheLeastLimitOfTheGroupsAround) {
  write("proc/self/cgroup", "5:devices:/\n0::/slurm/job_7/step_0\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  write("sys/fs/cgroup/slurm/job_7/memory.max", "104857600\n");
  write("sys/fs/cgroup/slurm/memory.max", "209715200\n");
  EXPECT_EQ(machine_memory(folder_.path()), 104857600u);
}

TEST_F(MachineMemory, KnowsTheOlderVersion) {
  write("proc/self/cgroup", "9:cpu,cpuacct:/a\n4:hugetlb,memory:/not/visible/inside\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "73400320\n");
  EXPECT_EQ(machine_memory(folder_.path()), 73400320u);
}

TEST(LimitToMachine, GivesAutoABudgetThatHasNone) {
  RankOptions options;
  limit_to_machine(options, 1);
  EXPECT_EQ(options.memory.budget_bytes, 0u);  // keeps everything
  options.memory.recompute.kind = RecomputeKind::kAuto;
  RankOptions four = options;
  limit_to_machine(options, 1);
  limit_to_machine(four, 4);
  EXPECT_LT(options.memory.budget_bytes, machine_memory());
  EXPECT_NEAR(static_cast<double>(options.memory.budget_bytes) /
                  static_cast<double>(four.memory.budget_bytes),
              4, 0.1);
  options.memory.budget_bytes = 5;
  limit_to_machine(options, 1);
  EXPECT_EQ(options.memory.budget_bytes, 5u);
}

}  // namespace
}  // namespace lockstep
