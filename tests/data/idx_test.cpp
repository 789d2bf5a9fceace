#include <gtest/gtest.h>
#include <zlib.h>

#include "data/dataset.h"
#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes idx(const std::vector<std::uint32_t>& dims, const Bytes& values) {
  Bytes file{0, 0, 8, static_cast<std::uint8_t>(dims.size())};
  for (const std::uint32_t dim : dims) {
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<std::uint8_t>(dim >> shift));
  }
  file.insert(file.end(), values.begin(), values.end());
  return file;
}

Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  Bytes packed(deflateBound(&stream, bytes.size()));
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

const Bytes kImages = idx({3, 2, 2}, {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 255});
const Bytes kLabels = idx({3}, {2, 0, 1});

class Idx : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const std::string& split = "train") const {
    DatasetOptions options;
    options.source = "idx";
    options.path = folder.path();
    options.split = split;
    return open_dataset(options);
  }
  /// Opens with this images file and no other fault; the message of the error.
  std::string refusal(const Bytes& images) const {
    folder.write("train-images-idx3-ubyte", images);
    folder.write("train-labels-idx1-ubyte", kLabels);
    return message_of<DataError>([this] { open(); });
  }
  TempFolder folder;
};

TEST_F(Idx, ReadsPlainFiles) {
  folder.write("train-images-idx3-ubyte", kImages);
  folder.write("train-labels-idx1-ubyte", kLabels);
  const auto dataset = open();
  EXPECT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->info().classes, 3);
  EXPECT_EQ(dataset->info().channels, 1);
  EXPECT_EQ(dataset->label(0), 2);
  Image image;
  dataset->read(2, image);
  EXPECT_EQ(image.height, 2);
  EXPECT_EQ(image.width, 2);
  EXPECT_EQ(image.channels, 1);
  EXPECT_EQ(image.pixels, (Bytes{20, 21, 22, 255}));
  EXPECT_EQ(dataset->encoded(1), (Bytes{10, 11, 12, 13}));
  EXPECT_EQ(dataset->where(1), folder.path() + "/train-images-idx3-ubyte, offset 20");
}

TEST_F(Idx, ReadsGzipAndTakesTheClassesFromTraining) {
  folder.write("train-images-idx3-ubyte.gz", gzip(kImages));
  folder.write("train-labels-idx1-ubyte.gz", gzip(kLabels));
  folder.write("t10k-images-idx3-ubyte.gz", gzip(idx({1, 2, 2}, {7, 7, 7, 7})));
  folder.write("t10k-labels-idx1-ubyte.gz", gzip(idx({1}, {1})));
  EXPECT_EQ(open()->label(2), 1);
  EXPECT_EQ(open("val")->info().classes, 3);
  folder.write("t10k-labels-idx1-ubyte.gz", gzip(idx({1}, {3})));
  EXPECT_TRUE(contains(message_of<DataError>([this] { open("val"); }), "label 3"));
}

TEST_F(Idx, ReadsAnyNumberOfChannels) {
  folder.write("train-images-idx4-ubyte",
               idx({3, 1, 2, 5}, {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14,
                                  15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29}));
  folder.write("train-labels-idx1-ubyte", kLabels);
  const auto dataset = open();
  EXPECT_EQ(dataset->info().channels, 5);
  Image image;
  dataset->read(1, image);
  EXPECT_EQ(image.channels, 5);
  EXPECT_EQ(image.width, 2);
  EXPECT_EQ(image.pixels, (Bytes{10, 11, 12, 13, 14, 15, 16, 17, 18, 19}));
  EXPECT_TRUE(contains(refusal(idx({3, 1, 1, 1025}, Bytes(3 * 1025))),
                       "C at most 1024; this has 4 dimensions, C 1025"));
}

TEST_F(Idx, ReadsExplicitNames) {
  folder.write("a.bin", kImages);
  folder.write("b.bin", kLabels);
  DatasetOptions options;
  options.source = "idx";
  options.path = folder.path();
  options.images_file = "a.bin";
  EXPECT_THROW(open_dataset(options), ConfigError);
  options.labels_file = "b.bin";
  EXPECT_EQ(open_dataset(options)->size(), 3);
}

TEST_F(Idx, NamesWhatItLookedFor) {
  const std::string message = message_of<MissingFileError>([this] { open("val"); });
  EXPECT_TRUE(contains(message, folder.path()));
  EXPECT_TRUE(contains(message, "t10k-images-idx3-ubyte[.gz]"));
}

TEST_F(Idx, RefusesWhatIsNoIdxFile) {
  EXPECT_TRUE(contains(refusal({}), "offset 0"));
  EXPECT_TRUE(contains(refusal({'P', 'K', 3, 4, 5, 6, 7, 8}), "not an IDX file"));
  EXPECT_TRUE(contains(refusal({0, 0, 13, 3}), "type 13"));
  EXPECT_TRUE(contains(refusal({0, 0, 8, 3, 0, 0}), "inside its header, at offset 6"));
  EXPECT_TRUE(contains(refusal(kLabels), "offset 3"));
  EXPECT_TRUE(contains(refusal(idx({2, 2, 2}, Bytes(8))), "3 labels for the 2 images"));
}

TEST_F(Idx, RefusesEveryCut) {
  folder.write("train-labels-idx1-ubyte", kLabels);
  for (std::size_t length = 0; length < kImages.size(); ++length) {
    folder.write("train-images-idx3-ubyte", Bytes(kImages.begin(), kImages.begin() + length));
    const std::string message = message_of<DataError>([this] { open(); });
    EXPECT_TRUE(contains(message, "train-images-idx3-ubyte")) << length << ": " << message;
  }
  EXPECT_TRUE(contains(refusal(idx({3, 2, 2}, Bytes(13))), "goes on to offset 29"));
}

TEST_F(Idx, RefusesHugeClaimsWithoutTakingTheMemory) {
  const std::uint32_t huge = 0xffffffff;
  EXPECT_TRUE(contains(refusal(idx({huge, huge, huge}, Bytes(4))), "dimension 1"));
  EXPECT_TRUE(contains(refusal(idx({huge, 1, 1}, Bytes(4))), "4294967311"));
  EXPECT_TRUE(contains(refusal(idx({0, 2, 2}, {})), "dimension 0 is 0"));
}

TEST_F(Idx, RefusesDamagedGzip) {
  Bytes packed = gzip(kImages);
  EXPECT_TRUE(contains(refusal(Bytes(packed.begin(), packed.end() - 9)), "end too early"));
  packed[packed.size() - 5] ^= 1;  // the checksum
  EXPECT_TRUE(contains(refusal(packed), "damaged gzip data"));
}

TEST(FashionMnist, TheEmbeddedPartIsWhole) {
  DatasetOptions options;
  options.source = "idx";
  options.path = LOCKSTEP_SOURCE_DIR "/data/fashion-mnist";
  for (const auto& [split, samples] : {std::pair{"train", 10000}, std::pair{"val", 2000}}) {
    options.split = split;
    const auto dataset = open_dataset(options);
    EXPECT_EQ(dataset->size(), samples);
    EXPECT_EQ(dataset->info().classes, 10);
    EXPECT_EQ(dataset->info().height, 28);
    EXPECT_EQ(dataset->info().width, 28);
  }
}

}  // namespace
}  // namespace lockstep
