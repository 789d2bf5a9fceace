// Messages that travel beside computation.
#include "worker/comm/transfer.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "data/error.h"

namespace lockstep {
namespace {

class TransferTest : public testing::Test {
 protected:
  int next() const { return (world_.rank() + 1) % world_.size(); }
  int previous() const { return (world_.rank() + world_.size() - 1) % world_.size(); }

  Communicator world_ = Communicator::world();
};

/// Every rank sends to the next one, in sizes that MPI sends at once and such that it does not,
/// twice by the same objects.
TEST_F(TransferTest, GoesRoundARing) {
  Transfer out(world_), in(world_);
  for (const std::size_t count : {0u, 1u, 1000u, 1u << 20, 3u}) {
    std::vector<int> sent(count), received(count, -1), expected(count);
    std::iota(sent.begin(), sent.end(), 7 * world_.rank());
    std::iota(expected.begin(), expected.end(), 7 * previous());
    in.start_receive(std::as_writable_bytes(std::span(received)), previous(), 5, "ring");
    out.start_send(std::as_bytes(std::span<const int>(sent)), next(), 5, "ring");
    in.finish();
    out.finish();
    EXPECT_EQ(received, expected);
    EXPECT_TRUE(in.progress() && out.progress());
  }
}

/// Tags tell messages apart that are received in another order.
TEST_F(TransferTest, TagsTellMessagesApart) {
  const int mine[] = {10 * world_.rank(), 10 * world_.rank() + 1};
  int received[] = {-1, -1};
  std::vector<Transfer> out, in;
  for (int i = 0; i < 2; ++i) {
    out.emplace_back(world_);
    in.emplace_back(world_);
  }
  for (int i : {1, 0})
    in[static_cast<std::size_t>(i)].start_receive(
        std::as_writable_bytes(std::span(received + i, 1)), previous(), i, "tags");
  for (int i : {0, 1})
    out[static_cast<std::size_t>(i)].start_send(std::as_bytes(std::span<const int>(mine + i, 1)),
                                                next(), i, "tags");
  for (int i : {0, 1}) {
    auto& transfer = in[static_cast<std::size_t>(i)];
    while (!transfer.progress()) {
    }
    EXPECT_EQ(received[i], 10 * previous() + i);
  }
  for (Transfer& transfer : out) transfer.finish();
}

TEST_F(TransferTest, AMessageOfAnotherSizeIsAnError) {
  Transfer out(world_), in(world_);
  std::vector<std::byte> sent(8), received(16);
  in.start_receive(received, previous(), 0, "short");
  out.start_send(sent, next(), 0, "short");
  out.finish();
  try {
    in.finish();
    FAIL() << "no error";
  } catch (const CommError& e) {
    EXPECT_NE(std::string(e.what()).find("short"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lockstep
