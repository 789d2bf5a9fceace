#include <cstdlib>
#include <random>

#include "tests/data/checkpoint_fixture.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::CheckpointTest;

/// Changes one file of a good checkpoint, and wants an error that names it.
class CheckpointDamageTest : public CheckpointTest {
 protected:
  void SetUp() override {
    CheckpointTest::SetUp();
    directory_ = save(12);
  }

  void expect_error(const std::string& file, const std::string& what) {
    const std::string message = error_of_opening(directory_);
    EXPECT_TRUE(contains(message, (directory_ / file).string()))
        << file << ", " << what << ": " << (message.empty() ? "was loaded as good" : message);
  }

  void expect_rejected(const std::string& file, const std::string& damaged,
                       const std::string& what) {
    spill(directory_ / file, damaged);
    expect_error(file, what);
  }

  /// Changes one byte in place, and back.
  void flip(const std::string& file, const std::string& good, std::size_t at, int mask) {
    OpenFile open_file = OpenFile::for_update(directory_ / file);
    const char bad = static_cast<char>(good[at] ^ mask);
    open_file.write_at(at, std::as_bytes(std::span(&bad, 1)));
    expect_error(file, "byte " + std::to_string(at) + " ^ " + std::to_string(mask));
    open_file.write_at(at, std::as_bytes(std::span(&good[at], 1)));
  }

  fs::path directory_;
};

TEST_F(CheckpointDamageTest, AnyByteOfManifestAndIndex) {
  for (const std::string file : {"manifest.json", "index.h5"}) {
    const std::string good = slurp(directory_ / file);
    for (std::size_t at = 0; at < good.size() && !HasFailure(); ++at) {
      flip(file, good, at, 1 << (at % 8));
    }
    for (std::size_t at = 0; at < good.size() && !HasFailure(); at += 7) flip(file, good, at, 0xff);
  }
  expect_good(Checkpoint::open(directory_), 12);
}

/// LOCKSTEP_FLIPS sets another number.
TEST_F(CheckpointDamageTest, SeededBytesOfTheShards) {
  const char* wanted = std::getenv("LOCKSTEP_FLIPS");
  const int flips = wanted != nullptr ? std::atoi(wanted) : 2000;
  std::mt19937_64 random(20260101);
  const std::vector<std::string> files = {"shard-000.h5", "shard-001.h5"};
  for (int i = 0; i < flips && !HasFailure(); ++i) {
    const std::string& file = files[random() % files.size()];
    const std::string good = slurp(directory_ / file);
    const std::size_t at = random() % good.size();
    flip(file, good, at, 1 << (random() % 8));
  }
  expect_good(Checkpoint::open(directory_), 12);
}

TEST_F(CheckpointDamageTest, AnyFileCutLongerOrEmpty) {
  for (const std::string file : {"manifest.json", "index.h5", "shard-000.h5", "shard-001.h5"}) {
    const std::string good = slurp(directory_ / file);
    for (const std::size_t bytes :
         {std::size_t{0}, std::size_t{1}, good.size() / 3, good.size() / 2, good.size() - 1}) {
      expect_rejected(file, good.substr(0, bytes), "cut to " + std::to_string(bytes));
    }
    expect_rejected(file, good + '\0', "a byte longer");
    expect_rejected(file, good + "\n", "a line longer");
    spill(directory_ / file, good);
  }
}

TEST_F(CheckpointDamageTest, AnyFileMissingOrNotAFile) {
  for (const std::string file : {"manifest.json", "index.h5", "shard-000.h5", "shard-001.h5"}) {
    const std::string good = slurp(directory_ / file);
    fs::remove(directory_ / file);
    EXPECT_NE(error_of_opening(directory_).find(file), std::string::npos);
    fs::create_directory(directory_ / file);
    EXPECT_NE(error_of_opening(directory_).find(file), std::string::npos);
    fs::remove(directory_ / file);
    spill(root_ / "elsewhere", good);
    fs::create_symlink(root_ / "elsewhere", directory_ / file);
    EXPECT_NE(error_of_opening(directory_).find(file), std::string::npos);
    fs::remove(directory_ / file);
    spill(directory_ / file, good);
  }
  expect_good(Checkpoint::open(directory_), 12);
  EXPECT_NE(error_of_opening(root_ / "none").find("manifest.json"), std::string::npos);
}

TEST_F(CheckpointDamageTest, ShardsOfAnotherCheckpoint) {
  const std::string other = slurp(save(13) / "shard-000.h5");
  expect_rejected("shard-000.h5", other, "of step 13");
}

}  // namespace
}  // namespace lockstep
