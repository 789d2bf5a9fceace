#include "tests/golden/golden_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "data/error.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// Writes files into a directory of its own, which it removes.
class GoldenFileTest : public testing::Test {
 protected:
  GoldenFileTest() {
    std::string pattern = (fs::temp_directory_path() / "lockstep-golden-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("no directory for temporary files");
    directory_ = pattern;
  }
  ~GoldenFileTest() override { fs::remove_all(directory_); }

  fs::path write(const std::string& bytes) const {
    const fs::path path = directory_ / "a.golden";
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  /// Reading a file of these bytes fails with a message that has `part`, and the file's name.
  void expect_refused(const std::string& bytes, const std::string& part) const {
    const fs::path path = write(bytes);
    try {
      GoldenFile file(path);
      ADD_FAILURE() << "was read: " << bytes;
    } catch (const DataError& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(path.string()), std::string::npos) << e.what();
    }
  }

  fs::path directory_;
};

const std::string kFloats("\0\0\x80\x3f\0\0\x20\xc0", 8);  // 1, -2.5
const std::string kDouble("\0\0\0\0\0\0\xe0\x3f", 8);      // 0.5
const std::string kHeader = "lockstep golden 1\nwidths=8,16\nlearning_rate=0.05\nbatch=4\n";

TEST_F(GoldenFileTest, ReadsSettingsAndTensors) {
  const GoldenFile file(
      write(kHeader + "tensor g/a f32 0 2 1\ntensor g/b f64 8\n\n" + kFloats + kDouble));
  EXPECT_EQ(file.integers("widths"), (std::vector<int>{8, 16}));
  EXPECT_EQ(file.number("learning_rate"), 0.05);
  EXPECT_EQ(file.integer("batch"), 4);
  EXPECT_EQ(file.text("batch"), "4");
  EXPECT_EQ(file.tensor("g/a").dims, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(file.tensor("g/a").values, (std::vector<double>{1, -2.5}));
  EXPECT_EQ(file.tensor("g/b").values, std::vector<double>{0.5});
  EXPECT_EQ(file.names("g/"), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(file.has("g/b"));
  EXPECT_FALSE(file.has("b"));
}

TEST_F(GoldenFileTest, SaysWhatItDoesNotHave) {
  const GoldenFile file(write(kHeader + "\n"));
  EXPECT_THROW(file.tensor("logits"), DataError);
  EXPECT_THROW(file.text("seed"), DataError);
  EXPECT_THROW(file.integer("learning_rate"), DataError);
  EXPECT_THROW(file.number("widths"), DataError);
  EXPECT_THROW(GoldenFile(directory_ / "none.golden"), MissingFileError);
}

TEST_F(GoldenFileTest, RefusesMalformedFiles) {
  expect_refused("", "empty line");
  expect_refused("lockstep golden 2\n\n", "begin");
  expect_refused("lockstep golden 1\nbatch\n\n", "neither");
  expect_refused(kHeader + "batch=5\n\n", "twice");
  expect_refused(kHeader + "tensor a f16 0 2\n\n" + kFloats, "f32|f64");
  expect_refused(kHeader + "tensor a f32 4 1\n\n" + kFloats, "offset 0");
  expect_refused(kHeader + "tensor a f32 0 -2\n\n" + kFloats, "dims");
  expect_refused(kHeader + "tensor a f32 0 2x\n\n" + kFloats, "dims");
  expect_refused(kHeader + "tensor a f32 0 3\n\n" + kFloats, "cut short");
  expect_refused(kHeader + "tensor a f32 0 4611686018427387904 4\n\n" + kFloats, "cut short");
  expect_refused(kHeader + "tensor a f64 0\n\n" + kFloats.substr(4), "cut short");
  expect_refused(kHeader + "tensor a f32 0 1\n\n" + kFloats, "bytes of values");
  expect_refused(kHeader + "tensor a f32 0 1\ntensor a f32 4 1\n\n" + kFloats, "twice");
}

}  // namespace
}  // namespace lockstep
