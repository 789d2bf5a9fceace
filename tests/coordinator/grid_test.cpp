// Which worker has which replica and stage.
#include "coordinator/stages/grid.h"

#include <gtest/gtest.h>

#include "data/error.h"

namespace lockstep {
namespace {

TEST(Grid, StagesOfAReplicaAreNeighbours) {
  const Grid grid(6, 3);
  EXPECT_EQ(grid.replicas(), 2);
  for (int w = 0; w < 6; ++w) {
    EXPECT_EQ(grid.replica_of(w), w / 3);
    EXPECT_EQ(grid.stage_of(w), w % 3);
    EXPECT_EQ(grid.worker(w / 3, w % 3), w);
  }
}

TEST(Grid, StagesOfAReplicaAreOnOneNode) {
  const std::vector<std::uint64_t> hosts{30, 10, 30, 10};  // ranks dealt out to nodes in turn
  const Grid grid(4, 2, hosts);
  for (int replica : {0, 1})
    EXPECT_EQ(hosts[static_cast<std::size_t>(grid.worker(replica, 0))],
              hosts[static_cast<std::size_t>(grid.worker(replica, 1))]);
  EXPECT_EQ(grid.worker(0, 0), 0);
  for (int w = 0; w < 4; ++w) EXPECT_EQ(grid.worker(grid.replica_of(w), grid.stage_of(w)), w);
}

TEST(Grid, SaysWhichCountsDivide) {
  try {
    Grid(6, 4);
    FAIL();
  } catch (const ConfigError& e) {
    EXPECT_NE(std::string(e.what()).find("use 1, 2, 3, 6 stages, or start 8 workers"),
              std::string::npos)
        << e.what();
  }
}

}  // namespace
}  // namespace lockstep
