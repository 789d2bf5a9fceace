#include "worker/team.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace lockstep {
namespace {

TEST(Team, NamesTheVariableThatMakesStacksTooSmall) {
  setenv("OMP_STACKSIZE", "16k", 1);
  EXPECT_EQ(
      small_stack(16 << 10, false),
      "a thread has a stack of 16 KiB and needs 64 KiB: OMP_STACKSIZE = 16k; unset it, or set "
      "OMP_STACKSIZE=64k");
  // the process's own thread
  EXPECT_NE(small_stack(16 << 10, true).find("ulimit -s 8192"), std::string::npos);
  unsetenv("OMP_STACKSIZE");
  EXPECT_NE(small_stack(16 << 10, false).find("ulimit -s 8192"), std::string::npos);
  EXPECT_EQ(small_stack(kThreadStack, false), "");
  EXPECT_EQ(small_stack(0, false), "");  // not known
}

}  // namespace
}  // namespace lockstep
