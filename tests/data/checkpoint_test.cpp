#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <limits>
#include <numeric>

#include "data/checkpoint_writer.h"
#include "tests/data/checkpoint_fixture.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::CheckpointTest;
using ::testing::Test;

TEST(DealTensors, NoWriterGetsMoreThanAverageAndOneTensor) {
  std::vector<std::int64_t> bytes;
  for (std::int64_t i = 0; i < 200; ++i) bytes.push_back((i * 7919) % 1000 + 1);
  const std::int64_t total = std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
  for (const int writers : {1, 2, 3, 7, 64}) {
    const std::vector<int> writer_of = deal_tensors(bytes, writers);
    ASSERT_EQ(writer_of.size(), bytes.size());
    std::vector<std::int64_t> loads(static_cast<std::size_t>(writers));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      ASSERT_GE(writer_of[i], 0);
      ASSERT_LT(writer_of[i], writers);
      loads[static_cast<std::size_t>(writer_of[i])] += bytes[i];
    }
    for (const std::int64_t load : loads) EXPECT_LE(load, total / writers + 1000);
    EXPECT_EQ(writer_of, deal_tensors(bytes, writers));
  }
}

TEST(DealTensors, Edges) {
  EXPECT_TRUE(deal_tensors({}, 3).empty());
  const std::vector<std::int64_t> same = {4, 4, 4, 4};
  EXPECT_EQ(deal_tensors(same, 2), (std::vector<int>{0, 1, 0, 1}));
  const std::vector<std::int64_t> one_large = {1, 1, 100, 1};
  EXPECT_EQ(deal_tensors(one_large, 2), (std::vector<int>{1, 1, 0, 1}));
  EXPECT_THROW(deal_tensors(same, 0), InternalError);
}

TEST_F(CheckpointTest, RoundTripForAnyNumberOfWriters) {
  for (const int writers : {1, 2, 3, 11}) {  // 11: some have nothing to write
    const fs::path directory = save(100 + writers, writers);
    EXPECT_EQ(directory, checkpoints_ / checkpoint_name(100 + writers));
    const Checkpoint checkpoint = Checkpoint::open(directory);
    expect_good(checkpoint, 100 + writers);
    const TrainingState expected = make_state(100 + writers);
    EXPECT_EQ(checkpoint.state().epoch, expected.epoch);
    EXPECT_EQ(checkpoint.state().cursor, expected.cursor);
    EXPECT_EQ(checkpoint.state().seed, expected.seed);
    EXPECT_EQ(checkpoint.state().best_metric, expected.best_metric);
    EXPECT_EQ(checkpoint.state().best_step, expected.best_step);
    EXPECT_EQ(checkpoint.state().plateau.step, 0);  // older ones do not have it
    EXPECT_EQ(checkpoint.state().slot_lag, 0);      // nor this
    EXPECT_EQ(checkpoint.state().details, expected.details);
  }
}

TEST_F(CheckpointTest, ValuesKeepEveryBit) {
  std::vector<float> values = {0.0f, -0.0f, std::numeric_limits<float>::denorm_min(),
                               std::numeric_limits<float>::infinity()};
  for (const std::uint32_t bits :
       {0x7fc00001u, 0x7f800001u, 0xffc12345u}) {  // NaNs, also signalling
    values.push_back(std::bit_cast<float>(bits));
  }
  const TensorView view{"a", {static_cast<std::int64_t>(values.size())}, values};
  const auto directory = temporary_checkpoint_directory(checkpoints_, 1);
  TrainingState state = make_state(1);
  state.best_metric = std::numeric_limits<double>::quiet_NaN();
  state.best_step.reset();
  state.slot_lag = 1;
  state.plateau = {.best = 0.1 + 0.2, .of_loss = false, .step = 90, .waited = 2, .falls = 3};
  const std::vector<std::string> reports = {write_shard(directory, 0, std::span(&view, 1))};
  const Checkpoint checkpoint = Checkpoint::open(publish_checkpoint(checkpoints_, state, reports));
  std::vector<float> read(values.size());
  checkpoint.read("a", read);
  EXPECT_EQ(std::memcmp(read.data(), values.data(), values.size() * 4), 0);
  EXPECT_TRUE(std::isnan(checkpoint.state().best_metric));
  EXPECT_FALSE(checkpoint.state().best_step);
  EXPECT_EQ(checkpoint.state().slot_lag, 1);
  const PlateauState& plateau = checkpoint.state().plateau;
  EXPECT_EQ(plateau.best, 0.1 + 0.2);
  EXPECT_FALSE(plateau.of_loss);
  EXPECT_EQ((std::vector<std::int64_t>{plateau.step, plateau.waited, plateau.falls}),
            (std::vector<std::int64_t>{90, 2, 3}));
}

TEST_F(CheckpointTest, TheSameStateGivesTheSameBytes) {
  const fs::path first = save(7);
  checkpoints_ = root_ / "other";
  const fs::path second = save(7);
  int files = 0;
  for (const auto& entry : fs::directory_iterator(first)) {
    EXPECT_EQ(hash_file(entry.path()), hash_file(second / entry.path().filename())) << entry.path();
    ++files;
  }
  EXPECT_EQ(files, 4);  // two shards, index, manifest
}

TEST_F(CheckpointTest, ReadRefusesWhatDoesNotFit) {
  const Checkpoint checkpoint = Checkpoint::open(save(1));
  std::vector<float> values(11);
  EXPECT_THROW(checkpoint.read("parameters/fc.bias", values), CheckpointError);
  EXPECT_THROW(checkpoint.read("parameters/fc.weight", values), CheckpointError);
  EXPECT_THROW(checkpoint.dims("parameters"), CheckpointError);
  EXPECT_FALSE(checkpoint.contains("parameters/fc.weight"));
}

TEST_F(CheckpointTest, ReadNoticesValuesThatChangedAfterOpening) {
  const fs::path directory = save(1, 1);
  const Checkpoint checkpoint = Checkpoint::open(directory);
  std::string shard = slurp(directory / "shard-000.h5");
  const float first = make_tensors(1)[1].values[0];
  const std::size_t at = shard.find(std::string(reinterpret_cast<const char*>(&first), 4));
  ASSERT_NE(at, std::string::npos);
  shard[at] ^= 1;
  std::fstream(directory / "shard-000.h5", std::ios::in | std::ios::out | std::ios::binary)
      << shard;
  std::vector<float> values(10);
  EXPECT_THROW(checkpoint.read("parameters/fc.bias", values), CheckpointError);
}

TEST_F(CheckpointTest, PublishRefusesReportsThatDoNotFit) {
  const std::vector<Tensor> tensors = make_tensors(1);
  const auto shares = deal(tensors, 2);
  const auto directory = temporary_checkpoint_directory(checkpoints_, 1);
  const std::string zero = write_shard(directory, 0, shares[0]);
  const std::string one = write_shard(directory, 1, shares[1]);
  const std::string zero_again_as_two = write_shard(directory, 2, shares[0]);
  const auto publish = [&](std::vector<std::string> reports) {
    publish_checkpoint(checkpoints_, make_state(1), reports);
  };
  EXPECT_THROW(publish({zero, zero}), CheckpointError);
  EXPECT_THROW(publish({zero, one, zero_again_as_two}), CheckpointError);
  EXPECT_THROW(publish({zero, "{}"}), CheckpointError);
  EXPECT_THROW(publish({zero, "not json"}), CheckpointError);
  fs::resize_file(directory / "shard-001.h5", 100);
  EXPECT_THROW(publish({zero, one}), CheckpointError);
  fs::remove(directory / "shard-001.h5");
  EXPECT_THROW(publish({zero, one}), CheckpointError);
  EXPECT_TRUE(list_checkpoints(checkpoints_).empty());
}

TEST_F(CheckpointTest, AnotherSaveOfTheSameStepTakesItsPlace) {
  save(5);
  const fs::path directory = save(5, 3);
  EXPECT_TRUE(fs::exists(directory / "shard-002.h5"));
  expect_good(Checkpoint::open(directory), 5);
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints_), fs::directory_iterator()), 1);
}

TEST_F(CheckpointTest, StaleTemporariesGoAndReplacedOnesReturn) {
  save(5);
  save(6);
  temporary_checkpoint_directory(checkpoints_, 9);
  fs::rename(checkpoints_ / checkpoint_name(5), checkpoints_ / (".replaced-" + checkpoint_name(5)));
  fs::create_directory(checkpoints_ / (".replaced-" + checkpoint_name(6)));
  EXPECT_EQ(remove_stale_temporaries(checkpoints_).size(), 3u);
  EXPECT_EQ(list_checkpoints(checkpoints_), (std::vector<std::int64_t>{5, 6}));
  expect_good(Checkpoint::open(checkpoints_ / checkpoint_name(5)), 5);
  EXPECT_EQ(std::distance(fs::directory_iterator(checkpoints_), fs::directory_iterator()), 2);
  EXPECT_TRUE(remove_stale_temporaries(root_ / "none").empty());
}

TEST_F(CheckpointTest, ListsOnlyWhatItNames) {
  save(20);
  save(100000000);  // nine digits
  fs::create_directory(checkpoints_ / "step-21");
  fs::create_directory(checkpoints_ / "step-00000022x");
  fs::create_directory(checkpoints_ / "best");
  EXPECT_EQ(list_checkpoints(checkpoints_), (std::vector<std::int64_t>{20, 100000000}));
}

TEST_F(CheckpointTest, FallsBackToTheNewestGoodOneAndSaysSo) {
  EXPECT_FALSE(open_newest_good(checkpoints_).checkpoint);
  for (const std::int64_t step : {1, 2, 3, 4}) save(step);
  fs::resize_file(checkpoints_ / checkpoint_name(4) / "shard-001.h5", 64);
  fs::remove(checkpoints_ / checkpoint_name(3) / "manifest.json");
  const NewestGood found = open_newest_good(checkpoints_);
  ASSERT_TRUE(found.checkpoint);
  expect_good(*found.checkpoint, 2);
  ASSERT_EQ(found.rejected.size(), 2u);
  EXPECT_NE(found.rejected[0].find("step-00000004/shard-001.h5"), std::string::npos);
  EXPECT_NE(found.rejected[1].find("step-00000003/manifest.json"), std::string::npos);
}

TEST_F(CheckpointTest, ARenamedCheckpointDoesNotPassForANewerOne) {
  save(1);
  fs::copy(checkpoints_ / checkpoint_name(1), checkpoints_ / checkpoint_name(2));
  const NewestGood found = open_newest_good(checkpoints_);
  ASSERT_TRUE(found.checkpoint);
  EXPECT_EQ(found.checkpoint->state().step, 1);
  EXPECT_EQ(found.rejected.size(), 1u);
}

TEST_F(CheckpointTest, PruneKeepsTheNewestGoodOnesAndTheBest) {
  for (const std::int64_t step : {1, 2, 3, 4, 5, 6}) save(step);
  EXPECT_TRUE(prune_checkpoints(checkpoints_, 6, {}).empty());
  fs::remove(checkpoints_ / checkpoint_name(5) / "index.h5");
  const auto removed = prune_checkpoints(checkpoints_, 2, 2);
  EXPECT_EQ(removed, (std::vector<std::string>{checkpoint_name(3), checkpoint_name(1)}));
  EXPECT_EQ(list_checkpoints(checkpoints_), (std::vector<std::int64_t>{2, 4, 5, 6}));
}

TEST_F(CheckpointTest, AFullDiskIsAnErrorAndLeavesTheOlderOnes) {
  save(1);
  std::vector<float> values(1 << 20);
  const TensorView view{"a", {1 << 20}, values};
  const auto directory = temporary_checkpoint_directory(checkpoints_, 2);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 1 << 20;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_THROW(write_shard(directory, 0, std::span(&view, 1)), IoError);
  EXPECT_THROW(write_file_durably(directory / "x", std::string(2 << 20, 'x')), IoError);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  expect_good(*open_newest_good(checkpoints_).checkpoint, 1);
  save(2);
  expect_good(*open_newest_good(checkpoints_).checkpoint, 2);
}

/// Kills a process that saves one checkpoint after the other, again and again.
TEST_F(CheckpointTest, AKilledSaveNeverLeavesABadCheckpoint) {
  std::int64_t step = 1;
  save(step);
  for (int kill_number = 0; kill_number < 8; ++kill_number) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      while (true) save(++step);
    }
    ::usleep(static_cast<useconds_t>(3000 + kill_number * 2713));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    remove_stale_temporaries(checkpoints_);
    const NewestGood found = open_newest_good(checkpoints_);
    EXPECT_TRUE(found.rejected.empty()) << found.rejected.front();
    ASSERT_TRUE(found.checkpoint);
    EXPECT_GE(found.checkpoint->state().step, step);
    step = found.checkpoint->state().step;
    expect_good(*found.checkpoint, step);
  }
}

TEST_F(CheckpointTest, TheWriterWritesBesideAndReports) {
  const std::vector<Tensor> tensors = make_tensors(3);
  CheckpointWriter writer(1000);
  std::vector<TensorView> views;
  std::size_t at = 0;
  for (const Tensor& tensor : tensors) {
    const auto place = writer.snapshot().subspan(at, tensor.values.size());
    std::copy(tensor.values.begin(), tensor.values.end(), place.begin());
    views.push_back({tensor.name, tensor.dims, place});
    at += tensor.values.size();
  }
  EXPECT_FALSE(writer.busy());
  writer.start_shard(temporary_checkpoint_directory(checkpoints_, 3), 0, views);
  EXPECT_TRUE(writer.busy());
  EXPECT_THROW(writer.snapshot(), InternalError);
  EXPECT_THROW(writer.start_prune(checkpoints_, 1, {}), InternalError);
  while (!writer.finished()) ::usleep(100);
  const std::vector<std::string> reports = {writer.take_report()};
  publish_checkpoint(checkpoints_, make_state(3), reports);
  expect_good(Checkpoint::open(checkpoints_ / checkpoint_name(3)), 3);

  save(4);
  writer.start_prune(checkpoints_, 1, {});
  EXPECT_EQ(writer.take_report(), "");
  EXPECT_EQ(list_checkpoints(checkpoints_), (std::vector<std::int64_t>{4}));
}

TEST_F(CheckpointTest, TheWriterRethrowsAndGoesOn) {
  CheckpointWriter writer(4);
  EXPECT_THROW(writer.take_report(), InternalError);
  const std::vector<float> elsewhere(4);
  EXPECT_THROW(writer.start_shard(root_, 0, {{"a", {4}, elsewhere}}), InternalError);
  const std::vector<TensorView> views = {{"a", {4}, writer.snapshot()}};
  writer.start_shard(root_ / "missing", 0, views);
  EXPECT_THROW(writer.take_report(), IoError);
  writer.start_shard(root_, 0, views);
  EXPECT_NE(writer.take_report().find("shard-000.h5"), std::string::npos);
  writer.start_shard(root_, 1, views);  // the destructor waits for this one
}

}  // namespace
}  // namespace lockstep
