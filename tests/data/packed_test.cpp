#include "data/packed.h"

#include <gtest/gtest.h>

#include <thread>

#include "data/error.h"
#include "data/hdf5_dataset.h"
#include "data/packed_seal.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using hdf5::ElementType;

/// Samples of different lengths, as image files have them.
class MadeUpFiles : public Dataset {
 public:
  MadeUpFiles(const std::string& split, std::int64_t samples, int classes)
      : Dataset(describe(split, samples, classes)) {}
  int label(std::int64_t index) const override { return static_cast<int>(index % info_.classes); }
  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    ++readings;
    std::vector<std::uint8_t> bytes(static_cast<std::size_t>(10 + index * 7));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = static_cast<std::uint8_t>(i * 31 + static_cast<std::size_t>(index));
    }
    if (readings > change_after) bytes[0] ^= 1;
    return bytes;
  }

  mutable std::int64_t readings = 0;
  std::int64_t change_after = 1000000;

 private:
  static DatasetInfo describe(const std::string& split, std::int64_t samples, int classes) {
    DatasetInfo info;
    info.source = "folder";
    info.path = "photographs";
    info.split = split;
    info.format = SampleFormat::kImageFile;
    info.classes = classes;
    for (int c = 0; c < classes; ++c) info.class_names.push_back("class \"" + std::to_string(c));
    info.samples = samples;
    return info;
  }
};

class PackedTest : public ::testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const std::string& split = "train") const {
    DatasetOptions options;
    options.source = "packed";
    options.path = path_.string();
    options.split = split;
    return open_dataset(options);
  }

  void pack_files() const {
    const MadeUpFiles train("train", 20, 3);
    const MadeUpFiles val("val", 5, 3);
    const std::vector<const Dataset*> splits = {&train, &val};
    pack_dataset(splits, path_);
  }

  static void expect_same(const Dataset& a, const Dataset& b) {
    ASSERT_EQ(a.size(), b.size());
    EXPECT_EQ(a.info().format, b.info().format);
    EXPECT_EQ(a.info().channels, b.info().channels);
    EXPECT_EQ(a.info().height, b.info().height);
    EXPECT_EQ(a.info().width, b.info().width);
    EXPECT_EQ(a.info().classes, b.info().classes);
    EXPECT_EQ(a.info().class_names, b.info().class_names);
    for (std::int64_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a.label(i), b.label(i));
      EXPECT_EQ(a.encoded(i), b.encoded(i)) << i;
    }
  }

  std::string slurp() const { return read_text_file(path_, 1 << 30); }
  void spill(const std::string& text) const { std::ofstream(path_, std::ios::binary) << text; }

  /// Reads all of it: the error, or nothing.
  std::string error_of_reading() const {
    try {
      verify_packed(path_);
      return "";
    } catch (const DataError& error) {
      return error.what();
    }
  }

  TempFolder folder_;
  fs::path path_ = fs::path(folder_.path()) / "deep" / "set.h5";
};

TEST_F(PackedTest, RoundTripOfFiles) {
  pack_files();
  expect_same(*open("train"), MadeUpFiles("train", 20, 3));
  expect_same(*open("val"), MadeUpFiles("val", 5, 3));
  EXPECT_EQ(open()->info().source, "packed");
  EXPECT_EQ(open()->info().split, "train");
  EXPECT_EQ(verify_packed(path_).size(), 2u);
  EXPECT_EQ(std::distance(fs::directory_iterator(path_.parent_path()), fs::directory_iterator()),
            1);
}

TEST_F(PackedTest, RoundTripOfRawPictures) {
  DatasetOptions options;
  options.source = "synthetic";
  options.synthetic_samples = 30;
  const auto source = open_dataset(options);
  const std::vector<const Dataset*> splits = {source.get()};
  pack_dataset(splits, path_);
  const auto packed = open();
  expect_same(*packed, *source);
  Image expected;
  Image image;
  source->read(29, expected);
  packed->read(29, image);
  EXPECT_EQ(image.pixels, expected.pixels);
  EXPECT_EQ(image.height, expected.height);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open("val"); }), "only train"));
}

TEST_F(PackedTest, TheSameSamplesGiveTheSameFile) {
  pack_files();
  const std::string first = slurp();
  fs::remove(path_);
  pack_files();
  EXPECT_EQ(slurp(), first);
}

TEST_F(PackedTest, Hdf5SeesTheSamplesToo) {
  pack_files();
  const std::int64_t bytes = 20 * 10 + 7 * 190;
  std::vector<std::uint8_t> encoded(static_cast<std::size_t>(bytes));
  const hdf5::Lock lock;
  const hdf5::File file(H5Fopen(path_.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  const hdf5::Dataset dataset(H5Dopen2(file.get(), "train/encoded", H5P_DEFAULT));
  ASSERT_EQ(H5Dget_storage_size(dataset.get()), static_cast<hsize_t>(bytes));
  ASSERT_GE(H5Dread(dataset.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, encoded.data()),
            0);
  const auto first = MadeUpFiles("train", 20, 3).encoded(0);
  EXPECT_TRUE(std::equal(first.begin(), first.end(), encoded.begin()));
  const auto last = MadeUpFiles("train", 20, 3).encoded(19);
  EXPECT_TRUE(std::equal(last.rbegin(), last.rend(), encoded.rbegin()));
}

TEST_F(PackedTest, PackRefuses) {
  const MadeUpFiles train("train", 4, 3);
  const MadeUpFiles val("val", 4, 2);
  const MadeUpFiles none("val", 0, 3);
  const auto pack = [&](std::vector<const Dataset*> splits) { pack_dataset(splits, path_); };
  EXPECT_THROW(pack({}), ConfigError);
  EXPECT_THROW(pack({&train, &train}), ConfigError);
  EXPECT_THROW(pack({&train, &none}), ConfigError);
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { pack({&train, &val}); }), "classes"));
  pack({&train});
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { pack({&train}); }), "exists"));
}

TEST_F(PackedTest, ASampleThatChangesMeanwhileIsAnErrorAndLeavesNoFile) {
  MadeUpFiles train("train", 10, 3);
  train.change_after = 17;  // in the second reading
  const std::vector<const Dataset*> splits = {&train};
  EXPECT_TRUE(contains(message_of<DataError>([&] { pack_dataset(splits, path_); }), "sample 7"));
  EXPECT_TRUE(fs::is_empty(path_.parent_path()));
}

TEST_F(PackedTest, ProgressReachesTheEnd) {
  const MadeUpFiles train("train", 10, 3);
  const std::vector<const Dataset*> splits = {&train};
  std::int64_t last = 0;
  pack_dataset(splits, path_, [&](std::int64_t done, std::int64_t total) {
    EXPECT_EQ(total, 20);
    last = done;
  });
  EXPECT_EQ(last, 20);
}

TEST_F(PackedTest, AnyChangedByteIsFound) {
  pack_files();
  const std::string good = slurp();
  OpenFile file = OpenFile::for_update(path_);
  const std::size_t stride = 13;  // behind the seal: all of its bytes are tried
  for (std::size_t at = 0; at < good.size() && !HasFailure(); at += at < kSealBytes ? 1 : stride) {
    const char bad = static_cast<char>(good[at] ^ (1 << (at % 8)));
    file.write_at(at, std::as_bytes(std::span(&bad, 1)));
    EXPECT_TRUE(contains(error_of_reading(), path_.string())) << at;
    file.write_at(at, std::as_bytes(std::span(&good[at], 1)));
  }
  EXPECT_EQ(error_of_reading(), "");
}

TEST_F(PackedTest, ADamagedSampleIsNamedAndTheOthersStillRead) {
  pack_files();
  std::string text = slurp();
  const auto sample = MadeUpFiles("train", 20, 3).encoded(6);
  const std::size_t at = text.find(std::string(sample.begin(), sample.end()));
  ASSERT_NE(at, std::string::npos);
  text[at + 3] ^= 4;
  spill(text);
  const auto train = open();
  EXPECT_EQ(train->encoded(5), MadeUpFiles("train", 20, 3).encoded(5));
  const std::string message = message_of<DataError>([&] { train->encoded(6); });
  EXPECT_TRUE(contains(message, "sample 6 at byte " + std::to_string(at))) << message;
}

TEST_F(PackedTest, CutFilesAndOtherFiles) {
  pack_files();
  const std::string good = slurp();
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{100}, std::size_t{512}, good.size() / 2, good.size() - 1}) {
    spill(good.substr(0, bytes));
    EXPECT_TRUE(contains(message_of<DataError>([&] { open(); }), path_.string()));
  }
  spill(good + "x");
  EXPECT_THROW(open(), DataError);
  spill(std::string(10000, 'x'));
  EXPECT_TRUE(contains(message_of<DataError>([&] { open(); }), "is no packed dataset"));
  fs::remove(path_);
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { open(); }), path_.string()));
}

/// Files whose seal is right but whose tables are not possible.
class PackedHostileTest : public PackedTest {
 protected:
  std::vector<std::uint64_t> offsets = {0, 4, 8};
  std::vector<std::int32_t> labels = {0, 1};
  std::vector<std::uint64_t> checksums = {1, 2};
  std::int64_t encoded_bytes = 8;
  std::string info =
      R"({"splits":{"train":{"source":"x","format":"image_file","samples":2,"channels":0,)"
      R"("height":0,"width":0,"classes":2,"class_names":[]}}})";

  template <class Element>
  static void add(const hdf5::File& file, const char* name, ElementType type,
                  const Element& values) {
    hdf5::write_dataset(file, name, type, {static_cast<std::int64_t>(values.size())},
                        std::as_bytes(std::span(values)));
  }

  void replace_in_info(const std::string& from, const std::string& to) {
    const std::size_t at = info.find(from);
    ASSERT_NE(at, std::string::npos);
    info.replace(at, from.size(), to);
  }

  void write() const {
    fs::create_directories(path_.parent_path());
    hdf5::File file = hdf5::create_file(path_, kSealBytes);
    add(file, "info", ElementType::kUint8, info);
    add(file, "train/offsets", ElementType::kUint64, offsets);
    add(file, "train/labels", ElementType::kInt32, labels);
    add(file, "train/checksums", ElementType::kUint64, checksums);
    const std::uint64_t begin =
        hdf5::reserve_dataset(file, "train/encoded", ElementType::kUint8, {encoded_bytes});
    hdf5::finish_file(file, path_.string());
    OpenFile sealed = OpenFile::for_update(path_);
    write_seal(sealed, {{begin, static_cast<std::uint64_t>(encoded_bytes)}});
  }

  std::string error() const {
    write();
    return message_of<DataError>([&] { open(); });
  }
};

TEST_F(PackedHostileTest, AGoodOneMadeThisWayOpens) {
  write();
  EXPECT_EQ(open()->size(), 2);
  EXPECT_THROW(open()->encoded(0), DataError);  // its checksum is made up
}

TEST_F(PackedHostileTest, OffsetsThatAreNotPossible) {
  const std::vector<std::vector<std::uint64_t>> wrong = {
      {0, 9, 8}, {0, ~std::uint64_t{0}, 8}, {1, 4, 8}, {0, 4, 9}, {0, 8}, {0, 4, 4, 8}, {}};
  for (const auto& table : wrong) {
    offsets = table;
    EXPECT_TRUE(contains(error(), path_.string()));
  }
}

TEST_F(PackedHostileTest, LabelsAndLengthsThatAreNotPossible) {
  labels = {0, 2};
  EXPECT_TRUE(contains(error(), "label 2 of sample 1"));
  labels = {-1, 0};
  EXPECT_TRUE(contains(error(), "label -1"));
  labels = {0};
  EXPECT_TRUE(contains(error(), "not of the length"));
  labels = {0, 1};
  checksums = {1, 2, 3};
  EXPECT_TRUE(contains(error(), "not of the length"));
}

TEST_F(PackedHostileTest, InfoThatIsNotPossible) {
  const std::string good = info;
  replace_in_info("\"samples\":2", "\"samples\":-1");
  EXPECT_TRUE(contains(error(), "not of the length"));
  info = good;
  replace_in_info("\"samples\":2", "\"samples\":\"x\"");
  EXPECT_TRUE(contains(error(), "/info cannot be understood"));
  info = good;
  replace_in_info("image_file", "raw");
  EXPECT_TRUE(contains(error(), "impossible size"));
  replace_in_info("\"channels\":0,\"height\":0,\"width\":0",
                  "\"channels\":1,\"height\":2,\"width\":3");
  EXPECT_TRUE(contains(error(), "impossible offsets"));
  replace_in_info("\"channels\":1,\"height\":2,\"width\":3",
                  "\"channels\":1024,\"height\":1024,\"width\":1024");
  EXPECT_TRUE(contains(error(), "impossible size"));
  info = "{";
  EXPECT_TRUE(contains(error(), "/info cannot be understood"));
  info = "{}";
  EXPECT_TRUE(contains(error(), "/info cannot be understood"));
}

TEST_F(PackedTest, ManyThreadsReadAtOnce) {
  pack_files();
  const auto train = open();
  const MadeUpFiles source("train", 20, 3);
  std::vector<std::vector<std::uint8_t>> expected;
  for (std::int64_t i = 0; i < 20; ++i) expected.push_back(source.encoded(i));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round) {
        for (std::size_t i = 0; i < 20; ++i) {
          wrong[t] += train->encoded(static_cast<std::int64_t>(i)) != expected[i] ? 1 : 0;
        }
        if (round % 10 == 0) open("val");  // HDF5 in several threads
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4));
}

}  // namespace
}  // namespace lockstep
