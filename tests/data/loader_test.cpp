#include "data/loader.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "data/error.h"
#include "data/order.h"
#include "data/read_file.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

/// 1 x 1 pictures whose value is their number; can be told to be slow or to fail.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t samples) : Dataset(make_info(samples)) {}
  int label(std::int64_t index) const override { return static_cast<int>(index % 7); }
  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    ++reads;
    if (index == bad || index == worse)
      throw DataError("sample " + std::to_string(index) + " is bad");
    std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
    return {static_cast<std::uint8_t>(index)};
  }
  std::int64_t bad = -1;
  std::int64_t worse = -1;
  int delay_us = 0;
  mutable std::atomic<int> reads = 0;

 private:
  static DatasetInfo make_info(std::int64_t samples) {
    DatasetInfo info;
    info.samples = samples;
    info.channels = info.height = info.width = 1;
    info.classes = 7;
    return info;
  }
};

AugmentOptions one_pixel() {
  AugmentOptions options;
  options.channels = options.height = options.width = 1;
  return options;
}

std::vector<std::int64_t> range(std::int64_t begin, std::int64_t end) {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(end - begin));
  std::iota(samples.begin(), samples.end(), begin);
  return samples;
}

TEST(Loader, GivesBatchesInTheOrderOfRequests) {
  const Numbers dataset(200);
  for (const int threads : {1, 3}) {
    Loader loader(dataset, one_pixel(), 1, {threads, 2, 8});
    const EpochOrder order(200, 3, 0);
    for (std::int64_t first = 0; first < 200; first += 8) {
      loader.request({0, order.samples(first, first + 8), true});
    }
    EXPECT_EQ(loader.pending(), 25u);
    for (std::int64_t first = 0; first < 200; first += 8) {
      const Batch batch = loader.next();
      ASSERT_EQ(batch.samples.size(), 8u);
      ASSERT_EQ(batch.pixels.size(), 8u);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(batch.pixels.data()) % 64, 0u);
      for (std::size_t i = 0; i < 8; ++i) {
        const std::int64_t sample = order.sample(first + static_cast<std::int64_t>(i));
        EXPECT_EQ(batch.samples[i], sample);
        EXPECT_EQ(batch.labels[i], sample % 7);
        EXPECT_FLOAT_EQ(batch.pixels[i] * 255.0f, static_cast<float>(sample));
      }
    }
    EXPECT_EQ(loader.pending(), 0u);
    EXPECT_THROW(loader.next(), InternalError);
  }
}

TEST(Loader, BatchesDoNotDependOnThreadsDepthOrBatchSize) {
  DatasetOptions options;
  options.source = "synthetic";
  options.synthetic_samples = 60;
  const auto dataset = open_dataset(options);
  AugmentOptions augment;
  augment.pad = 4;
  augment.flip = true;
  augment.cutout = 8;
  const auto load = [&](int threads, int depth, std::int64_t size) {
    Loader loader(*dataset, augment, 5, {threads, depth, static_cast<int>(size)});
    std::vector<float> pixels;
    for (std::int64_t first = 0; first < 60; first += size) {
      loader.request({2, range(first, std::min<std::int64_t>(60, first + size)), true});
    }
    while (loader.pending() > 0) {
      const Batch batch = loader.next();
      pixels.insert(pixels.end(), batch.pixels.begin(), batch.pixels.end());
    }
    return pixels;
  };
  const std::vector<float> expected = load(1, 1, 60);
  EXPECT_EQ(expected.size(), 60u * 32 * 32 * 3);
  EXPECT_EQ(load(4, 3, 7), expected);
  EXPECT_EQ(load(2, 1, 1), expected);
}

TEST(Loader, ABatchStaysUntilTheFollowingNext) {
  const Numbers dataset(100);
  Loader loader(dataset, one_pixel(), 1, {2, 1, 10});
  for (int i = 0; i < 10; ++i) loader.request({0, range(i * 10, i * 10 + 10), true});
  for (int i = 0; i < 10; ++i) {
    const Batch batch = loader.next();
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // work goes on meanwhile
    for (int k = 0; k < 10; ++k) {
      ASSERT_FLOAT_EQ(batch.pixels[static_cast<std::size_t>(k)] * 255,
                      static_cast<float>(i * 10 + k));
    }
  }
}

TEST(Loader, ReadsAheadNoFurtherThanItsDepth) {
  const Numbers dataset(100);
  Loader loader(dataset, one_pixel(), 1, {2, 2, 5});
  for (int i = 0; i < 20; ++i) loader.request({0, range(i * 5, i * 5 + 5), true});
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_LE(dataset.reads, 15);  // depth + 1 places of 5
  loader.next();
  std::this_thread::sleep_for(std::chrono::milliseconds(30));
  EXPECT_LE(dataset.reads, 15);  // the first place is still in use
  for (int i = 1; i < 20; ++i) loader.next();
  EXPECT_EQ(dataset.reads, 100);
}

TEST(Loader, ReducedJpegsShowTheSamePart) {
  const TempFolder folder;
  for (const char* name : {"a/1.jpg", "b/2.jpg", "b/3.jpg"}) {
    folder.write(name, read_file(LOCKSTEP_SOURCE_DIR "/tests/data/pictures/colour.jpg", 1 << 20));
  }
  DatasetOptions options;
  options.source = "folder";
  options.path = folder.path();
  const auto dataset = open_dataset(options);
  AugmentOptions augmentation;
  augmentation.height = augmentation.width = 8;  // of 64 x 48: decoded at a half or a quarter
  augmentation.random_resized_crop = augmentation.flip = true;
  augmentation.crop_scale_min = 0.3f;
  Loader loader(*dataset, augmentation, 4, {2, 1, 3});
  for (std::int64_t epoch = 0; epoch < 20; ++epoch) {
    loader.request({epoch, range(0, 3), true});
    const Batch batch = loader.next();
    EXPECT_EQ(batch.labels[0], 0);
    EXPECT_EQ(batch.labels[2], 1);
    Image whole;
    dataset->read(0, whole);
    for (std::int64_t sample = 0; sample < 3; ++sample) {
      std::vector<float> expected(8 * 8 * 3);
      augment(whole, augmentation, {4, epoch, sample}, true, expected.data());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        // Place and size of the crop are whole pixels of the reduced picture: two of them may be
        // between, each a step of 16 in the ramp. Another crop would be up to 190 away.
        ASSERT_NEAR(batch.pixels[static_cast<std::size_t>(sample) * 192 + i], expected[i],
                    32.0 / 255);
      }
    }
  }
}

TEST(Loader, EmptyAndShortBatches) {
  const Numbers dataset(10);
  Loader loader(dataset, one_pixel(), 1, {1, 2, 4});
  loader.request({0, {}, true});
  loader.request({0, {9}, false});
  loader.request({0, {}, true});
  EXPECT_TRUE(loader.next().samples.empty());
  EXPECT_EQ(loader.next().labels[0], 2);
  EXPECT_TRUE(loader.next().pixels.empty());
}

TEST(Loader, RethrowsTheFirstErrorOfABatchAndGoesOn) {
  Numbers dataset(40);
  dataset.bad = 17;
  dataset.worse = 13;
  Loader loader(dataset, one_pixel(), 1, {3, 2, 10});
  for (int i = 0; i < 4; ++i) loader.request({0, range(i * 10, i * 10 + 10), true});
  EXPECT_EQ(loader.next().samples[0], 0);
  EXPECT_TRUE(contains(message_of<DataError>([&] { loader.next(); }), "sample 13 is bad"));
  EXPECT_EQ(loader.next().samples[0], 20);
  EXPECT_EQ(loader.next().samples[0], 30);
}

TEST(Loader, MeasuresTheWait) {
  Numbers dataset(10);
  dataset.delay_us = 2000;
  Loader loader(dataset, one_pixel(), 1, {1, 1, 10});
  EXPECT_EQ(loader.waited_seconds(), 0.0);
  loader.request({0, range(0, 10), true});
  loader.next();
  EXPECT_GT(loader.waited_seconds(), 0.0);
}

TEST(Loader, EndsWithWorkUnderWay) {
  Numbers dataset(1000);
  dataset.delay_us = 1000;
  {
    Loader loader(dataset, one_pixel(), 1, {2, 3, 100});
    for (int i = 0; i < 10; ++i) loader.request({0, range(i * 100, i * 100 + 100), true});
  }
  EXPECT_LT(dataset.reads, 1000);
}

TEST(Loader, RefusesBadRequestsAndOptions) {
  const Numbers dataset(10);
  Loader loader(dataset, one_pixel(), 1, {1, 1, 4});
  EXPECT_THROW(loader.request({0, range(0, 5), true}), InternalError);
  EXPECT_THROW(loader.request({0, {10}, true}), InternalError);
  EXPECT_THROW(loader.request({0, {-1}, true}), InternalError);
  EXPECT_THROW(Loader(dataset, one_pixel(), 1, {0, 1, 4}), ConfigError);
  AugmentOptions wrong = one_pixel();
  wrong.channels = 0;
  EXPECT_THROW(Loader(dataset, wrong, 1, {1, 1, 4}), ConfigError);
}

}  // namespace
}  // namespace lockstep
