#include "jobs/job_path.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/error.h"
#include "jobs/job_file.h"
#include "tests/jobs/job_errors.h"

namespace lockstep {
namespace {

TEST(ExpandedPath, ReadsHomeAndVariables) {
  setenv("LOCKSTEP_TEST_DIR", "/scratch/me", 1);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(expanded_path("~/a"), "/home/me/a");
  EXPECT_EQ(expanded_path("a~/~b"), "a~/~b");
  EXPECT_EQ(expanded_path("$LOCKSTEP_TEST_DIR/x${LOCKSTEP_TEST_DIR}y"),
            "/scratch/me/x/scratch/mey");
  for (const char* wrong : {"$", "a$/b", "${A", "$LOCKSTEP_TEST_NOTHING"})
    EXPECT_THROW(expanded_path(wrong), ConfigError) << wrong;
  const Job job =
      parse_job("[run]\ndirectory = ~/runs\n[data]\npath = $LOCKSTEP_TEST_DIR/c\n", "a.cfg", {});
  EXPECT_EQ(job.run.directory, "/home/me/runs");
  EXPECT_EQ(job.data.path, "/scratch/me/c");
  EXPECT_EQ(error_of("[data]\npath = $LOCKSTEP_TEST_NOTHING/c\n"),
            "a.cfg:2: data.path = '$LOCKSTEP_TEST_NOTHING/c': the variable LOCKSTEP_TEST_NOTHING "
            "is not set");
}

}  // namespace
}  // namespace lockstep
