#include "worker/comm/preflight.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "data/error.h"

namespace lockstep {
namespace {

RankFacts fact(const std::string& host, std::vector<int> cpus, int world_size = 2) {
  return {.host = host,
          .mpi_library = "Open MPI v5.0.11",
          .lockstep_version = "0.1.0",
          .world_size = world_size,
          .cpus = std::move(cpus),
          .launcher = LauncherSize{"OMPI_COMM_WORLD_SIZE", world_size}};
}

// The message of the ConfigError that these facts cause; "" if there is none.
std::string error_of(const std::vector<RankFacts>& facts) {
  try {
    judge(facts);
    return "";
  } catch (const ConfigError& error) {
    return error.what();
  }
}

void expect_contains(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in: " << text;
  }
}

TEST(Preflight, AcceptsRanksBoundToTheirOwnCpus) {
  const std::vector<RankFacts> facts = {fact("a", {0, 1}), fact("a", {2, 3}), fact("b", {0, 1}),
                                        fact("b", {2, 3})};
  const PreflightReport report = judge(facts);
  EXPECT_EQ(report.ranks, 4);
  EXPECT_EQ(report.nodes, 2);
  EXPECT_EQ(report.mpi_library, "Open MPI v5.0.11");
  EXPECT_TRUE(report.warnings.empty());
}

TEST(Preflight, AcceptsRanksThatAreNotBound) {
  EXPECT_TRUE(
      judge(std::vector{fact("a", {0, 1, 2, 3}), fact("a", {0, 1, 2, 3})}).warnings.empty());
  // Open MPI binds to NUMA domains by default: several ranks have the same wide mask.
  EXPECT_TRUE(
      judge(std::vector{fact("a", {0, 1}), fact("a", {0, 1}), fact("a", {2, 3}), fact("a", {2, 3})})
          .warnings.empty());
}

TEST(Preflight, WarnsOfMoreRanksThanCpus) {
  const auto report = judge(std::vector{fact("a", {0, 1}), fact("a", {0}), fact("a", {0, 1})});
  ASSERT_EQ(report.warnings.size(), 1u);
  expect_contains(report.warnings[0], {"3 ranks share 2 CPUs (0-1) on a"});
}

TEST(Preflight, RefusesMasksThatOverlapInPart) {
  expect_contains(error_of({fact("b", {0, 1}), fact("a", {0, 1, 2}), fact("a", {2, 3})}),
                  {"rank 1 on a is bound to CPUs 0-2", "rank 2 to 2-3", "both to 2;",
                   "--map-by slot:PE=N", "--cpu-bind=cores"});
}

TEST(Preflight, RefusesCrowdedCpusBesideFreeOnes) {
  expect_contains(error_of({fact("a", {0}), fact("a", {0}), fact("a", {1, 2, 3})}),
                  {"2 ranks (rank 0 on a, rank 1, ...) are bound to CPUs 0", "--bind-to core"});
}

TEST(Preflight, RefusesDifferentLibrariesAndVersions) {
  std::vector<RankFacts> facts = {fact("a", {0}), fact("b", {0})};
  facts[1].mpi_library = "Open MPI v4.1.4";
  expect_contains(error_of(facts), {"different MPI libraries",
                                    "rank 1 on b has \"Open MPI v4.1.4\"", "LD_LIBRARY_PATH"});
  facts[1].mpi_library = facts[0].mpi_library;
  facts[1].lockstep_version = "0.2.0";
  expect_contains(error_of(facts), {"different versions of lockstep", "\"0.1.0\"", "\"0.2.0\""});
}

TEST(Preflight, RefusesARankThatIsAloneUnderALauncherOfMany) {
  RankFacts alone = fact("a", {0}, 1);
  EXPECT_EQ(error_of({alone}), "");
  alone.launcher = LauncherSize{"SLURM_STEP_NUM_TASKS", 4};
  expect_contains(error_of({alone}), {"started 4 ranks (SLURM_STEP_NUM_TASKS)", "Open MPI v5.0.11",
                                      "srun --mpi=pmix", "lockstep launch -n 4"});
  alone.launcher.reset();
  EXPECT_EQ(error_of({alone}), "");
}

TEST(Preflight, ReadsTheLaunchersSize) {
  std::map<std::string, std::string> environment;
  const auto read = [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  };
  EXPECT_FALSE(launcher_size(read).has_value());
  environment["SLURM_NTASKS"] = "8";  // of the allocation, not of the step
  EXPECT_FALSE(launcher_size(read).has_value());
  environment["SLURM_STEP_NUM_TASKS"] = "2";
  EXPECT_EQ(launcher_size(read)->ranks, 2);
  environment["OMPI_COMM_WORLD_SIZE"] = "16";
  EXPECT_EQ(launcher_size(read)->ranks, 16);
  EXPECT_EQ(launcher_size(read)->variable, "OMPI_COMM_WORLD_SIZE");
  environment["OMPI_COMM_WORLD_SIZE"] = "not a number";
  EXPECT_EQ(launcher_size(read)->ranks, 2);
}

TEST(Preflight, FormatsCpusAsRanges) {
  EXPECT_EQ(format_cpus({}), "");
  EXPECT_EQ(format_cpus(std::vector{5}), "5");
  EXPECT_EQ(format_cpus(std::vector{0, 1, 2, 3, 8, 10, 11}), "0-3,8,10-11");
}

}  // namespace
}  // namespace lockstep
