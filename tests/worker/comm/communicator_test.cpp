#include "worker/comm/communicator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "data/error.h"
#include "worker/comm/preflight.h"

namespace lockstep {
namespace {

TEST(Communicator, KnowsRanksAndNodes) {
  const Communicator world = Communicator::world();
  EXPECT_GE(world.rank(), 0);
  EXPECT_LT(world.rank(), world.size());
  EXPECT_EQ(world.node_size(), world.size());  // tests run on one node
  EXPECT_EQ(world.node_rank(), world.rank());
  world.barrier("test");
}

TEST(Communicator, BroadcastsFromEveryRoot) {
  const Communicator world = Communicator::world();
  for (int root = 0; root < world.size(); ++root) {
    const bool mine = world.rank() == root;
    std::string text = mine ? "job of " + std::to_string(root) : "an old text that is longer";
    world.broadcast(text, root, "text");
    EXPECT_EQ(text, "job of " + std::to_string(root));

    std::vector<double> values(mine ? 1000 : 3, mine ? 0.5 + root : 0.0);
    world.broadcast(values, root, "values");
    EXPECT_EQ(values, std::vector<double>(1000, 0.5 + root));

    std::string empty = mine ? "" : "not empty";
    world.broadcast(empty, root, "empty");
    EXPECT_EQ(empty, "");
  }
}

TEST(Communicator, GathersByRank) {
  const Communicator world = Communicator::world();
  const auto all = world.all_gather_value(10 * world.rank(), "tens");
  ASSERT_EQ(all.size(), static_cast<std::size_t>(world.size()));
  for (int r = 0; r < world.size(); ++r) EXPECT_EQ(all[static_cast<std::size_t>(r)], 10 * r);

  const int root = world.size() - 1;
  const auto length = static_cast<std::size_t>(world.rank()) * 3;  // rank 0 gives nothing
  const auto texts = world.gather(std::string(length, 'x'), root, "texts");
  if (world.rank() != root) {
    EXPECT_TRUE(texts.empty());
    return;
  }
  ASSERT_EQ(texts.size(), static_cast<std::size_t>(world.size()));
  for (std::size_t r = 0; r < texts.size(); ++r) EXPECT_EQ(texts[r], std::string(3 * r, 'x'));
}

TEST(Communicator, SendsAroundTheRing) {
  const Communicator world = Communicator::world();
  if (world.size() == 1) return;  // MPI would let a rank wait for itself
  const int next = (world.rank() + 1) % world.size();
  const int previous = (world.rank() + world.size() - 1) % world.size();
  std::vector<int> token(100'000, 0);
  if (world.rank() == 0) {
    token.assign(token.size(), 1);
    world.send(std::as_bytes(std::span(token)), next, 7, "token");
    world.recv(std::as_writable_bytes(std::span(token)), previous, 7, "token");
    EXPECT_EQ(token.back(), world.size());
  } else {
    world.recv(std::as_writable_bytes(std::span(token)), previous, 7, "token");
    for (int& value : token) ++value;
    world.send(std::as_bytes(std::span(token)), next, 7, "token");
  }
}

TEST(Communicator, AllReducesForDecisions) {
  const Communicator world = Communicator::world();
  const int ranks = world.size();
  const std::int64_t big = std::int64_t{1} << 60;  // would not survive a trip through double
  EXPECT_EQ(world.all_reduce(big + world.rank(), ReduceOp::kMax, "max"), big + ranks - 1);
  EXPECT_EQ(world.all_reduce(big + world.rank(), ReduceOp::kMin, "min"), big);
  EXPECT_EQ(world.all_reduce(std::int64_t{2}, ReduceOp::kSum, "sum"), 2 * ranks);
  EXPECT_DOUBLE_EQ(world.all_reduce(0.5 * world.rank(), ReduceOp::kMax, "max"), 0.5 * (ranks - 1));
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(world.all_reduce(world.rank() == 0 ? nan : 1.0, ReduceOp::kSum, "nan")));
}

TEST(Communicator, SplitsByColorAndOrdersByKey) {
  const Communicator world = Communicator::world();
  const Communicator half = world.split(world.rank() % 2, -world.rank(), "half");
  const int members = (world.size() + 1 - world.rank() % 2) / 2;
  EXPECT_EQ(half.size(), members);
  EXPECT_EQ(half.rank(), members - 1 - world.rank() / 2);
  EXPECT_EQ(half.all_reduce(std::int64_t{world.rank() % 2}, ReduceOp::kSum, "colors"),
            members * (world.rank() % 2));
}

TEST(Communicator, ErrorsNameCallPeerBytesAndPurpose) {
  const Communicator world = Communicator::world();
  const std::vector<std::byte> bytes(16);
  try {
    world.send(bytes, world.size(), 0, "weights");
    FAIL() << "no error";
  } catch (const CommError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("MPI_Isend"), std::string::npos) << message;
    EXPECT_NE(message.find("MPI_ERR_RANK"), std::string::npos) << message;
    EXPECT_NE(message.find("\"weights\""), std::string::npos) << message;
    EXPECT_NE(message.find("peer rank " + std::to_string(world.size())), std::string::npos);
    EXPECT_NE(message.find("16 bytes"), std::string::npos) << message;
  }
  std::string text = "x";
  EXPECT_THROW(world.broadcast(text, -1, "root"), CommError);
  EXPECT_THROW(world.gather(text, world.size(), "root"), CommError);
  std::vector<std::byte> small(1);
  EXPECT_THROW(world.all_gather(bytes, small, "room"), CommError);
}

TEST(Communicator, AShorterMessageIsAnError) {
  const Communicator world = Communicator::world();
  if (world.size() != 2) return;
  std::vector<std::byte> bytes(world.rank() == 0 ? 8 : 12);
  if (world.rank() == 0) {
    world.send(bytes, 1, 3, "short");
  } else {
    EXPECT_THROW(world.recv(bytes, 0, 3, "short"), CommError);
  }
}

TEST(Communicator, LogsCollectivesAlikeOnAllRanks) {
  const Communicator world = Communicator::world();
  world.barrier("first");
  {
    const Communicator part = world.split(0, world.rank(), "all again");
    part.barrier("within");
  }
  const auto records = world.log().snapshot();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_STREQ(records[0].name.data(), "first");
  EXPECT_EQ(records[0].sequence, 1u);
  EXPECT_EQ(records[1].kind, CollectiveKind::kSplit);
  EXPECT_EQ(records[1].sequence, 2u);
  EXPECT_STREQ(records[2].group.data(), "all again");
  EXPECT_EQ(records[2].sequence, 1u);
  for (const auto& record : records) EXPECT_FALSE(record.under_way());
}

TEST(Preflight, ReportsTheSameOnAllRanks) {
  const Communicator world = Communicator::world();
  const PreflightReport report = preflight(world);
  EXPECT_EQ(report.ranks, world.size());
  EXPECT_EQ(report.nodes, 1);
  EXPECT_FALSE(report.mpi_library.empty());
  // Tests are not bound: the only thing to warn of is more ranks than CPUs.
  const auto cpus = facts_of_this_rank(world).cpus.size();
  ASSERT_GT(cpus, 0u);
  EXPECT_EQ(report.warnings.size(), static_cast<std::size_t>(world.size()) > cpus ? 1u : 0u);
}

}  // namespace
}  // namespace lockstep
