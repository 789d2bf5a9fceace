#include "data/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/error.h"
#include "data/resample.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

/// Every value tells its place: row * 16 + column, plus 70 per channel.
Image numbered(int height, int width, int channels) {
  Image image{height, width, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        image.pixels.push_back(static_cast<std::uint8_t>(y * 16 + x + 1 + 40 * c));
      }
    }
  }
  return image;
}

AugmentOptions plain(int channels, int height, int width) {
  AugmentOptions options;
  options.channels = channels;
  options.height = height;
  options.width = width;
  return options;
}

/// Augmented, and scaled back to 0..255.
std::vector<float> run(const Image& image, const AugmentOptions& options, bool training,
                       const AugmentKey& key = {1, 0, 0}) {
  check(options);
  std::vector<float> dst(
      static_cast<std::size_t>(options.height * options.width * options.channels), -1e9f);
  augment(image, options, key, training, dst.data());
  for (float& value : dst) value *= 255.0f;
  return dst;
}

float at(const std::vector<float>& values, const AugmentOptions& options, int y, int x, int c = 0) {
  return values[static_cast<std::size_t>((y * options.width + x) * options.channels + c)];
}

TEST(Augment, NormalizesEachChannel) {
  AugmentOptions options = plain(3, 1, 1);
  options.mean = {0.1f, 0.2f, 0.3f};
  options.std = {0.5f, 0.25f, 2.0f};
  float dst[3];
  augment({1, 1, 3, {255, 51, 0}}, options, {}, true, dst);
  EXPECT_FLOAT_EQ(dst[0], (1.0f - 0.1f) / 0.5f);
  EXPECT_NEAR(dst[1], 0.0f, 1e-6f);
  EXPECT_FLOAT_EQ(dst[2], -0.15f);
}

TEST(Augment, AdaptsChannels) {
  const std::vector<float> colour = run({1, 1, 1, {90}}, plain(3, 1, 1), false);
  for (const float value : colour) EXPECT_NEAR(value, 90, 1e-3);
  EXPECT_NEAR(run({1, 1, 3, {10, 20, 60}}, plain(1, 1, 1), false)[0], 30, 1e-3);
}

TEST(Augment, ValidationTakesTheCentre) {
  const AugmentOptions options = plain(1, 2, 4);
  const std::vector<float> values = run(numbered(6, 8, 1), options, false);
  EXPECT_NEAR(at(values, options, 0, 0), 2 * 16 + 2 + 1, 1e-3);
  EXPECT_NEAR(at(values, options, 1, 3), 3 * 16 + 5 + 1, 1e-3);
}

TEST(Augment, ASmallPictureLiesInTheMiddleOfZeros) {
  AugmentOptions options = plain(1, 4, 4);
  options.mean = {0.5f};
  std::vector<float> dst(16, -1.0f);
  augment(numbered(2, 2, 1), options, {}, false, dst.data());
  EXPECT_EQ(dst[0], 0.0f);
  EXPECT_FLOAT_EQ(dst[5], 1.0f / 255 - 0.5f);
  EXPECT_FLOAT_EQ(dst[10], 18.0f / 255 - 0.5f);
  EXPECT_EQ(std::count(dst.begin(), dst.end(), 0.0f), 12);
}

/// The input equals one of the shifts of the padded picture, and all shifts turn up.
TEST(Augment, PadCropReachesEveryShiftAndNoOther) {
  for (const int channels : {1, 3, 5}) {
    AugmentOptions options = plain(channels, 5, 5);
    options.pad = 2;
    const Image image = numbered(5, 5, channels);
    std::set<std::pair<int, int>> seen;
    for (int sample = 0; sample < 400; ++sample) {
      const std::vector<float> values = run(image, options, true, {1, 0, sample});
      // The pixel at (2, 2), always inside the picture, tells the shift.
      const int value = static_cast<int>(at(values, options, 2, 2) + 0.5f) - 1;
      const int dy = value / 16 - 2;
      const int dx = value % 16 - 2;
      seen.insert({dy, dx});
      for (int y = 0; y < 5; ++y) {
        for (int x = 0; x < 5; ++x) {
          const bool inside = y + dy >= 0 && y + dy < 5 && x + dx >= 0 && x + dx < 5;
          for (int c = 0; c < channels; ++c) {
            const double expected = inside ? (y + dy) * 16 + x + dx + 1 + 40 * c : 0;
            ASSERT_NEAR(at(values, options, y, x, c), expected, 1e-3);
          }
        }
      }
    }
    EXPECT_EQ(seen.size(), 25u);  // 5 x 5
  }
}

TEST(Augment, FlipsHalfOfTheSamplesOnce) {
  for (const int channels : {1, 3, 5}) {
    AugmentOptions options = plain(channels, 2, 3);
    options.flip = true;
    const Image image = numbered(2, 3, channels);
    int flipped = 0;
    for (int sample = 0; sample < 1000; ++sample) {
      const std::vector<float> values = run(image, options, true, {1, 0, sample});
      const bool turned = at(values, options, 0, 0) > 1.5f;
      flipped += turned;
      for (int x = 0; x < 3; ++x) {
        for (int c = 0; c < channels; ++c) {
          ASSERT_NEAR(at(values, options, 1, x, c), 16 + (turned ? 2 - x : x) + 1 + 40 * c, 1e-3);
        }
      }
    }
    EXPECT_NEAR(flipped, 500, 80);  // five standard deviations
    EXPECT_LT(at(run(image, options, false, {1, 0, 1}), options, 0, 0), 1.5f);
  }
}

TEST(Augment, CutoutRemovesOneSquare) {
  AugmentOptions options = plain(3, 8, 8);
  options.cutout = 4;
  const Image image{8, 8, 3, std::vector<std::uint8_t>(192, 200)};
  std::set<std::size_t> sizes;
  for (int sample = 0; sample < 300; ++sample) {
    const std::vector<float> values = run(image, options, true, {1, 0, sample});
    int top = 8, left = 8, bottom = -1, right = -1, zeros = 0;
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        if (at(values, options, y, x) != 0.0f) continue;
        EXPECT_EQ(at(values, options, y, x, 2), 0.0f);
        ++zeros;
        top = std::min(top, y);
        left = std::min(left, x);
        bottom = std::max(bottom, y);
        right = std::max(right, x);
      }
    }
    EXPECT_EQ(zeros, (bottom - top + 1) * (right - left + 1));
    EXPECT_LE(bottom - top + 1, 4);
    EXPECT_LE(right - left + 1, 4);
    sizes.insert(static_cast<std::size_t>(zeros));
  }
  EXPECT_EQ(*sizes.rbegin(), 16u);
  EXPECT_EQ(*sizes.begin(), 4u);  // a corner
}

TEST(Augment, DependsOnItsKeyOnly) {
  AugmentOptions options = plain(3, 8, 8);
  options.pad = 3;
  options.flip = true;
  options.cutout = 3;
  const Image image = numbered(8, 8, 3);
  const auto values = run(image, options, true, {1, 2, 3});
  EXPECT_EQ(values, run(image, options, true, {1, 2, 3}));
  EXPECT_NE(values, run(image, options, true, {2, 2, 3}));
  EXPECT_NE(values, run(image, options, true, {1, 3, 3}));
  EXPECT_NE(values, run(image, options, true, {1, 2, 4}));
}

TEST(Augment, SwitchingOneOptionOffChangesNoOtherDraw) {
  AugmentOptions options = plain(1, 6, 6);
  options.pad = 2;
  options.cutout = 2;
  const Image image = numbered(6, 6, 1);
  const auto with = run(image, options, true, {1, 0, 7});
  options.cutout = 0;
  const auto without = run(image, options, true, {1, 0, 7});
  int different = 0;
  for (std::size_t i = 0; i < with.size(); ++i) different += with[i] != without[i];
  EXPECT_LE(different, 4);
}

TEST(Augment, RandomResizedCropStaysWithinItsRanges) {
  AugmentOptions options = plain(1, 8, 8);
  options.random_resized_crop = true;
  options.crop_scale_min = 0.25f;
  options.crop_scale_max = 0.25f;
  options.crop_ratio_min = options.crop_ratio_max = 1.0f;
  // A horizontal ramp: over half of the width, the input spans half of it.
  Image ramp{200, 200, 1, {}};
  for (int i = 0; i < 200 * 200; ++i) ramp.pixels.push_back(static_cast<std::uint8_t>(i % 200));
  std::set<int> starts;
  for (int sample = 0; sample < 100; ++sample) {
    const auto values = run(ramp, options, true, {1, 0, sample});
    EXPECT_NEAR(at(values, options, 3, 6) - at(values, options, 3, 1), 100.0 * 5 / 8, 1.5);
    starts.insert(static_cast<int>(at(values, options, 0, 0)));
  }
  EXPECT_GT(starts.size(), 40u);
  options.crop_ratio_min = options.crop_ratio_max = 3.0f;  // fits no 10 x 300 picture at this scale
  Image thin{100, 10, 1, std::vector<std::uint8_t>(1000, 77)};
  options.crop_scale_min = options.crop_scale_max = 1.0f;
  for (const float value : run(thin, options, true)) EXPECT_NEAR(value, 77, 1e-3);
}

TEST(Augment, ResizeAndCentreCropEqualsTheWholePictureResized) {
  const Image image = numbered(12, 9, 3);
  Image whole;
  resample(image, {0, 0, 12, 9}, 8, 6, {0, 0, 8, 6}, whole);
  AugmentOptions options = plain(3, 5, 4);
  options.resize = 6;
  const auto values = run(image, options, false);
  for (int y = 0; y < 5; ++y) {
    for (int x = 0; x < 4; ++x) {
      for (int c = 0; c < 3; ++c) {
        EXPECT_NEAR(at(values, options, y, x, c),
                    whole.pixels[static_cast<std::size_t>(((y + 1) * 6 + x + 1) * 3 + c)], 1e-3);
      }
    }
  }
}

// PyTorch 2.13: interpolate(picture, size, mode='bilinear', antialias=True), rounded, of the 7 x 10
// picture (37 y + 11 x^2) % 256, and of its rows 1-2, columns 2-4.
TEST(Resample, EqualsPyTorch) {
  Image image{7, 10, 1, {}};
  for (int y = 0; y < 7; ++y) {
    for (int x = 0; x < 10; ++x) {
      image.pixels.push_back(static_cast<std::uint8_t>((37 * y + 11 * x * x) % 256));
    }
  }
  const int small[] = {51, 128, 119, 139, 129, 151, 142, 115, 179, 124, 147, 123};
  const int large[] = {81,  115, 165, 213, 85,  119, 169, 217, 100, 134,
                       183, 232, 114, 149, 198, 246, 118, 152, 202, 250};
  Image out;
  resample(image, {0, 0, 7, 10}, 3, 4, {0, 0, 3, 4}, out);
  ASSERT_EQ(out.pixels.size(), std::size(small));
  for (std::size_t i = 0; i < std::size(small); ++i) EXPECT_NEAR(out.pixels[i], small[i], 1) << i;
  resample(image, {1, 2, 2, 3}, 5, 4, {0, 0, 5, 4}, out);
  ASSERT_EQ(out.pixels.size(), std::size(large));
  for (std::size_t i = 0; i < std::size(large); ++i) EXPECT_NEAR(out.pixels[i], large[i], 1) << i;
}

TEST(Resample, ChannelsDoNotTouchEachOther) {
  for (const int channels : {2, 3, 5}) {
    const Image image = numbered(6, 7, channels);
    Image all, one;
    resample(image, {1, 1, 5, 6}, 3, 8, {0, 1, 3, 6}, all);
    for (int c = 0; c < channels; ++c) {
      Image plane{6, 7, 1, {}};
      for (std::size_t i = static_cast<std::size_t>(c); i < image.pixels.size();
           i += static_cast<std::size_t>(channels))
        plane.pixels.push_back(image.pixels[i]);
      resample(plane, {1, 1, 5, 6}, 3, 8, {0, 1, 3, 6}, one);
      for (std::size_t i = 0; i < one.pixels.size(); ++i)
        ASSERT_EQ(all.pixels[i * static_cast<std::size_t>(channels) + static_cast<std::size_t>(c)],
                  one.pixels[i]);
    }
  }
}

TEST(LeastScale, KeepsWhatTheInputNeeds) {
  AugmentOptions options = plain(3, 20, 10);
  EXPECT_EQ(least_scale(options, {}, false, 1000, 500), 1.0);
  options.resize = 25;
  EXPECT_EQ(least_scale(options, {}, false, 1000, 500), 0.05);
  EXPECT_EQ(least_scale(options, {}, true, 10, 500), 1.0);
  options.random_resized_crop = true;
  options.crop_scale_min = options.crop_scale_max = 1.0f;
  options.crop_ratio_min = options.crop_ratio_max = 0.5f;
  EXPECT_EQ(least_scale(options, {}, true, 200, 100), 0.1);
  EXPECT_EQ(least_scale(options, {}, false, 200, 100), 0.25);
}

TEST(Augment, RefusesWhatMakesNoSense) {
  const auto refusal = [](auto change) {
    AugmentOptions options = plain(3, 32, 32);
    change(options);
    return message_of<ConfigError>([&] { check(options); });
  };
  EXPECT_TRUE(contains(refusal([](auto& o) { o.channels = kMaxChannels + 1; }),
                       "channels must be 1 to 1024"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.height = 0; }), "height"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.pad = 32; }), "pad"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.resize = 31; }), "resize (31)"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.std = {0.0f}; }), "std"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.mean = {1, 2}; }), "mean"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.crop_scale_min = 0; }), "scales"));
  float dst[4];
  for (const auto& [picture, input] : {std::pair{4, 3}, {4, 1}, {1, 4}, {3, 4}}) {
    const Image image{1, 1, picture, std::vector<std::uint8_t>(static_cast<std::size_t>(picture))};
    EXPECT_THROW(augment(image, plain(input, 1, 1), {}, true, dst), DataError)
        << picture << " to " << input;
  }
}

}  // namespace
}  // namespace lockstep
