#include <gtest/gtest.h>

#include <numeric>

#include "data/dataset.h"
#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

DatasetOptions small() {
  DatasetOptions options;
  options.source = "synthetic";
  options.synthetic_samples = 40;
  options.synthetic_classes = 4;
  options.synthetic_height = 12;
  options.synthetic_width = 10;
  return options;
}

double distance(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

TEST(Synthetic, IsAFunctionOfSeedSplitAndIndex) {
  DatasetOptions options = small();
  const auto one = open_dataset(options);
  EXPECT_EQ(one->encoded(7).size(), 12u * 10 * 3);
  EXPECT_EQ(one->encoded(7), open_dataset(options)->encoded(7));
  EXPECT_NE(one->encoded(7), one->encoded(11));  // the same class
  options.split = "val";
  EXPECT_NE(one->encoded(7), open_dataset(options)->encoded(7));
  options.synthetic_seed = 2;
  EXPECT_NE(one->encoded(7), open_dataset(options)->encoded(7));
}

TEST(Synthetic, ClassesCanBeLearnedAndCarryOverToValidation) {
  DatasetOptions options = small();
  const auto train = open_dataset(options);
  options.split = "val";
  const auto val = open_dataset(options);
  int right = 0;
  for (std::int64_t i = 0; i < val->size(); ++i) {  // nearest neighbour
    std::int64_t best = 0;
    for (std::int64_t k = 1; k < train->size(); ++k) {
      if (distance(val->encoded(i), train->encoded(k)) <
          distance(val->encoded(i), train->encoded(best))) {
        best = k;
      }
    }
    right += val->label(i) == train->label(best);
  }
  EXPECT_GE(right, 30);
}

TEST(Synthetic, CountsClassesOfAShard) {
  const auto dataset = open_dataset(small());
  const std::vector<std::int64_t> shard{0, 1, 4, 8, 3};
  EXPECT_EQ(class_counts(*dataset, shard), (std::vector<std::int64_t>{3, 1, 0, 1}));
}

TEST(OpenDataset, RefusesUnknownSourcesSplitsAndSizes) {
  DatasetOptions options = small();
  options.split = "test";
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open_dataset(options); }), "train or val"));
  options = small();
  options.source = "minst";
  options.path = "somewhere";
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open_dataset(options); }), "'minst'"));
  options.source = "idx";
  options.path = "";
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open_dataset(options); }), "needs a path"));
  options = small();
  options.synthetic_channels = 13;
  EXPECT_EQ(open_dataset(options)->encoded(0).size(),
            options.synthetic_height * options.synthetic_width * 13u);
  options.synthetic_channels = kMaxChannels + 1;
  EXPECT_TRUE(
      contains(message_of<ConfigError>([&] { open_dataset(options); }), "channels 1 to 1024"));
  options = small();
  options.synthetic_height = 1 << 20;
  options.synthetic_width = 1 << 20;
  EXPECT_THROW(open_dataset(options), ConfigError);
}

TEST(DecodeSample, RefusesRawPicturesOfAnotherSize) {
  const auto dataset = open_dataset(small());
  Image image;
  EXPECT_THROW(dataset->decode(std::vector<std::uint8_t>(5), image), DataError);
  const auto bytes = dataset->encoded(3);
  decode_sample(dataset->info(), bytes, image);
  EXPECT_EQ(image.pixels, bytes);
}

}  // namespace
}  // namespace lockstep
