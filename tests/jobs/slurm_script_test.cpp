#include "jobs/slurm_script.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

TEST(SlurmScript, AsksForWhatThePlanSays) {
  const std::string script = batch_script({.name = "deep",
                                           .ranks = 8,
                                           .nodes = 4,
                                           .threads = 6,
                                           .mib_per_rank = 10001,
                                           .minutes = 90,
                                           .program = "/opt/lockstep",
                                           .log = "/runs/deep.log",
                                           .sbatch_words = {"--partition=long"}});
  for (const char* line :
       {"#!/usr/bin/env bash\n#SBATCH --job-name=deep\n", "\n#SBATCH --ntasks=8\n",
        "\n#SBATCH --nodes=4\n", "\n#SBATCH --cpus-per-task=6\n", "\n#SBATCH --mem-per-cpu=1667M\n",
        "\n#SBATCH --time=90\n", "\n#SBATCH --output=/runs/deep.log\n",
        "\n#SBATCH --partition=long\n", "\n: \"${LOCKSTEP:=/opt/lockstep}\"\n",
        "\ntrain_by_srun() {\n", "scontrol requeue"}) {
    EXPECT_NE(script.find(line), std::string::npos) << line << "is not in\n" << script;
  }
  // train.sbatch's own are gone
  EXPECT_EQ(script.find("#SBATCH --ntasks-per-node"), std::string::npos);
  EXPECT_EQ(script.find("#!", 2), std::string::npos);
}

TEST(SlurmScript, LeavesPlacingToSlurm) {
  const std::string script = batch_script({.name = "x", .ranks = 2});
  EXPECT_EQ(script.find("#SBATCH --nodes"), std::string::npos);
}

TEST(SlurmScript, ReadsTimeLimitsAsSlurmWritesThem) {
  EXPECT_EQ(minutes_of_limit("90"), 90);
  EXPECT_EQ(minutes_of_limit("90:00"), 90);
  EXPECT_EQ(minutes_of_limit("0:01"), 1);  // rounded up
  EXPECT_EQ(minutes_of_limit("01:30:00"), 90);
  EXPECT_EQ(minutes_of_limit("24:00:01"), 24 * 60 + 1);
  EXPECT_EQ(minutes_of_limit("1-0"), 24 * 60);
  EXPECT_EQ(minutes_of_limit("2-12"), 60 * 60);
  EXPECT_EQ(minutes_of_limit("1-01:30"), 25 * 60 + 30);
  EXPECT_EQ(minutes_of_limit("1-01:30:30"), 25 * 60 + 31);
  for (const char* wrong : {"", "0", "0:00", "-5", "1h", "1:2:3:4", "1-", "-", "1.5", "1-1-1", " 5",
                            "99999999999999999999"})
    EXPECT_FALSE(minutes_of_limit(wrong)) << wrong;
}

TEST(SlurmScript, AsksForMoreThanIsPlanned) {
  EXPECT_EQ(minutes_to_ask_for(600, 1.0), 5 + 15);
  EXPECT_EQ(minutes_to_ask_for(1, 0.001), 5 + 1);
  EXPECT_EQ(mib_to_ask_for(std::size_t{1000} << 20), 512 + 1100 + 1);
}

}  // namespace
}  // namespace lockstep
