#include "jobs/launch_plan.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "jobs/cores.h"

namespace lockstep {
namespace {

LaunchRequest request(int ranks, int threads, int cores) {
  LaunchRequest request;
  request.ranks = ranks;
  request.threads = threads;
  request.cores = cores;
  request.mpirun = "/mpi/mpirun";
  request.program = "/bin/lockstep";
  request.arguments = {"train", "my job.cfg"};
  return request;
}

TEST(LaunchPlan, RanksShareTheCoresAndAreBoundToThem) {
  EXPECT_EQ(to_shell(plan_launch(request(2, 0, 9))),
            "/mpi/mpirun -n 2 --map-by slot:PE=4 --bind-to core -x OMP_NUM_THREADS=4 "
            "/bin/lockstep train 'my job.cfg'");
}

TEST(LaunchPlan, MoreRanksThanCores) {
  EXPECT_EQ(to_shell(plan_launch(request(4, 0, 2))),
            "/mpi/mpirun -n 4 --oversubscribe --bind-to none -x OMP_NUM_THREADS=1 "
            "/bin/lockstep train 'my job.cfg'");
}

TEST(LaunchPlan, MoreThreadsThanCoresAreNotBound) {
  EXPECT_EQ(to_shell(plan_launch(request(2, 2, 2))),
            "/mpi/mpirun -n 2 --bind-to none -x OMP_NUM_THREADS=2 -x LOCKSTEP_THREADS=2 "
            "/bin/lockstep train 'my job.cfg'");
}

TEST(LaunchPlan, RanksMayBeLost) {
  LaunchRequest with_ulfm = request(1, 0, 1);
  with_ulfm.ulfm = true;
  EXPECT_EQ(
      to_shell(plan_launch(with_ulfm)),
      "/mpi/mpirun -n 1 --with-ft ulfm --map-by slot:PE=1 --bind-to core -x OMP_NUM_THREADS=1 "
      "/bin/lockstep train 'my job.cfg'");
}

TEST(LaunchPlan, RootIsAllowedInTheChildOnly) {
  LaunchRequest as_root = request(1, 0, 1);
  as_root.as_root = true;
  EXPECT_EQ(to_shell(plan_launch(as_root))
                .find("OMPI_ALLOW_RUN_AS_ROOT=1 "
                      "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 /mpi/mpirun"),
            0u);
  EXPECT_TRUE(plan_launch(request(1, 0, 1)).environment.empty());
}

TEST(Cores, MpirunFillsTheFirstNodeOfAnAllocation) {
  setenv("SLURM_JOB_NUM_NODES", "3", 1);
  setenv("SLURM_TASKS_PER_NODE", "2(x2),1", 1);
  EXPECT_EQ(ranks_of_first_node(5), 2);
  EXPECT_EQ(ranks_of_first_node(1), 1);
  setenv("SLURM_TASKS_PER_NODE", "1(x3)", 1);
  EXPECT_EQ(ranks_of_first_node(3), 1);
  setenv("SLURM_JOB_NUM_NODES", "1", 1);  // it may be too full there
  EXPECT_EQ(ranks_of_first_node(3), 3);
  unsetenv("SLURM_JOB_NUM_NODES");
  EXPECT_EQ(ranks_of_first_node(3), 3);
  unsetenv("SLURM_TASKS_PER_NODE");
}

}  // namespace
}  // namespace lockstep
