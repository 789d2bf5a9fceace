// Pictures whose pixels have labels: folders of them, made-up ones, and what augmentation, the
// loader and packing do with masks.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "data/augment.h"
#include "data/dataset.h"
#include "data/error.h"
#include "data/loader.h"
#include "data/packed.h"
#include "data/read_file.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

/// One of make_pictures.py's; the PNGs are 6 x 8, grey.png has the value 2*(x + y) in every pixel.
std::vector<std::uint8_t> picture(const std::string& name) {
  return read_file(LOCKSTEP_SOURCE_DIR "/tests/data/pictures/" + name, 1 << 20);
}

DatasetOptions masks_in(const TempFolder& folder) {
  return {.source = "masks", .path = folder.path()};
}

TEST(MaskFolder, ReadsPicturesWithTheirMasks) {
  TempFolder folder;
  folder.write("train/images/b.png", picture("palette.png"));
  folder.write("train/images/a.PNG", picture("colour.png"));
  folder.write("train/images/notes.txt", {1, 2});
  folder.write("train/masks/a.png", picture("grey.png"));
  folder.write("train/masks/b.png", picture("grey.png"));
  DatasetOptions options = masks_in(folder);
  options.ignore_label = 20;
  const auto dataset = open_dataset(options);
  EXPECT_EQ(dataset->size(), 2);
  EXPECT_TRUE(dataset->info().masks);
  ASSERT_EQ(dataset->info().warnings.size(), 1u);
  EXPECT_TRUE(contains(dataset->info().warnings[0],
                       "passed over: 1, e.g. " + folder.path() + "/train/images/notes.txt"));
  EXPECT_EQ(dataset->info().classes, 2 * (7 + 5) + 1);
  for (const std::int64_t sample : {0, 1}) {
    Image image;
    dataset->read(sample, image);
    ASSERT_EQ(image.mask.size(), 6u * 8);
    for (int y = 0; y < 6; ++y)
      for (int x = 0; x < 8; ++x) {
        const int value = 2 * (x + y);
        ASSERT_EQ(image.mask[static_cast<std::size_t>(8 * y + x)], value == 20 ? kNoLabel : value);
      }
  }
}

/// A mask lies over the pixels as they are stored, whatever EXIF says of how the picture is to be shown.
TEST(MaskFolder, DoesNotTurnPictures) {
  TempFolder folder;
  const std::vector<std::uint8_t> stored = picture("colour.jpg");
  std::vector<std::uint8_t> turned = stored;
  const std::vector<std::uint8_t> exif{0xFF, 0xE1, 0, 34, 'E', 'x', 'i', 'f', 0,    0,    'M', 'M',
                                       0,    42,   0, 0,  0,   8,   0,   1,   0x01, 0x12, 0,   3,
                                       0,    0,    0, 1,  0,   6,   0,   0,   0,    0,    0,   0};
  turned.insert(turned.begin() + 2, exif.begin(), exif.end());
  Image image;
  folder.write("classes/cat/a.jpg", turned);
  open_dataset({.source = "folder", .path = folder.path() + "/classes"})->read(0, image);
  EXPECT_EQ(image.height, 64);
  folder.write("train/images/a.jpg", turned);
  // of another size: the error says what the picture's is
  folder.write("train/masks/a.png", picture("grey.png"));
  DatasetOptions masks = masks_in(folder);
  masks.classes = 100;
  EXPECT_TRUE(contains(message_of<DataError>([&] { open_dataset(masks)->read(0, image); }),
                       "for a picture of 48 x 64"));
}

TEST(MaskFolder, ReadsTheOtherArrangementAndTheTrainingMasksForItsClasses) {
  TempFolder folder;
  folder.write("train/1.jpg", picture("colour.jpg"));
  folder.write("trainannot/1.png", picture("grey.png"));
  folder.write("val/2.png", picture("colour.png"));
  folder.write("valannot/2.png", picture("palette.png"));
  DatasetOptions options = masks_in(folder);
  options.split = "val";
  options.ignore_label = 47;
  const auto counted = open_dataset(options);
  EXPECT_EQ(counted->info().classes, 25);
  options.classes = 48;  // indices of a palette: at most one for every pixel
  Image image;
  open_dataset(options)->read(0, image);
  EXPECT_EQ(image.mask.size(), 6u * 8);
  EXPECT_NE(image.mask.front(), image.mask.back());
}

TEST(MaskFolder, ErrorsNameTheFileAndTheWayOut) {
  TempFolder folder;
  const auto error = [&](const DatasetOptions& options) -> std::string {
    try {
      Image image;
      open_dataset(options)->read(0, image);
    } catch (const Error& e) {
      return e.what();
    }
    return "none";
  };
  const auto expect_in = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect_in(error(masks_in(folder)),
            "neither train/images and train/masks nor train and trainannot");
  folder.write("train/images/a.png", picture("colour.png"));
  folder.write("train/masks/other.png", picture("grey.png"));
  expect_in(error(masks_in(folder)), "train/masks/a.png: no such file; it is the mask of ");
  folder.write("train/masks/a.png", picture("grey16.png"));
  expect_in(error(masks_in(folder)), "8-bit");
  folder.write("train/images/a.jpg", picture("colour.jpg"));
  folder.write("train/masks/a.png", picture("grey.png"));
  expect_in(error(masks_in(folder)), "a mask of 6 x 8 pixels for a picture of 48 x 64");
  std::filesystem::remove(folder.path() + "/train/images/a.jpg");
  DatasetOptions few = masks_in(folder);
  few.classes = 9;
  expect_in(error(few), "row 0, column 5 has label 10; classes are 0 to 8: set data.ignore_label");
}

AugmentOptions grey(int height, int width) {
  return {.channels = 1, .height = height, .width = width};
}

/// Every pixel has its own label, and a shade that tells it.
Image labelled(int height, int width) {
  Image image{height, width, 1, {}, {}};
  for (int i = 0; i < height * width; ++i) {
    image.pixels.push_back(static_cast<std::uint8_t>(i + 1));
    image.mask.push_back(static_cast<std::uint8_t>(i));
  }
  return image;
}

TEST(AugmentMasks, LabelsGoWhereTheirPixelsGo) {
  const Image image = labelled(12, 16);
  AugmentOptions options = grey(10, 14);
  options.pad = 4;
  options.flip = true;
  bool outside = false, flipped = false;
  for (std::int64_t sample = 0; sample < 20; ++sample) {
    std::vector<float> pixels(140);
    std::vector<std::int32_t> labels(140);
    augment(image, options, {1, 0, sample}, true, pixels.data(), labels.data());
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const int shade = static_cast<int>(std::lround(pixels[i] * 255));
      ASSERT_EQ(labels[i], shade - 1);  // -1 beside the picture
      outside |= labels[i] < 0;
      flipped |= i % 14 > 0 && labels[i] > 0 && labels[i] == labels[i - 1] - 1;
    }
  }
  EXPECT_TRUE(outside);
  EXPECT_TRUE(flipped);
}

/// The left half is black, of class 0, the right half white, of class 1; one pixel has no label.
Image halves() {
  Image image{40, 60, 1, {}, {}};
  for (int i = 0; i < 40 * 60; ++i) {
    image.pixels.push_back(i % 60 < 30 ? 0 : 255);
    image.mask.push_back(i % 60 < 30 ? 0 : 1);
  }
  return image;
}

TEST(AugmentMasks, LabelsAreScaledWithThePicture) {
  AugmentOptions crop = grey(16, 16), resize = grey(24, 24);
  crop.random_resized_crop = crop.flip = true;
  resize.resize = 30;
  for (const AugmentOptions& options : {crop, resize})
    for (std::int64_t sample = 0; sample < 20; ++sample) {
      const auto n = static_cast<std::size_t>(options.height * options.width);
      std::vector<float> pixels(n);
      std::vector<std::int32_t> labels(n);
      augment(halves(), options, {1, 0, sample}, true, pixels.data(), labels.data());
      for (std::size_t i = 0; i < n; ++i)  // but for shades of the border between them
        if (pixels[i] < 0.3f || pixels[i] > 0.7f) {
          ASSERT_EQ(labels[i], pixels[i] > 0.5f) << i;
        }
    }
}

DatasetOptions synthetic() {
  return {.source = "synthetic_masks",
          .synthetic_samples = 12,
          .synthetic_classes = 4,
          .synthetic_height = 20,
          .synthetic_width = 24};
}

TEST(SyntheticMasks, ClassesHaveTheirColours) {
  const auto dataset = open_dataset(synthetic());
  std::vector<int> seen(4);
  std::vector<int> red(4, -1);
  for (std::int64_t i = 0; i < dataset->size(); ++i) {
    Image image;
    dataset->read(i, image);
    for (std::size_t p = 0; p < image.mask.size(); ++p) {
      ASSERT_LT(image.mask[p], 4);
      ++seen[image.mask[p]];
      int& own = red[image.mask[p]];
      if (own < 0) own = image.pixels[3 * p];
      ASSERT_NEAR(image.pixels[3 * p], own, 96);
    }
  }
  EXPECT_GT(*std::min_element(seen.begin(), seen.end()), 0);
  EXPECT_EQ(dataset->encoded(3), open_dataset(synthetic())->encoded(3));
  EXPECT_NE(dataset->encoded(3), dataset->encoded(4));
}

TEST(SyntheticMasks, TheLoaderGivesALabelForEveryPixel) {
  const auto dataset = open_dataset(synthetic());
  AugmentOptions options{.channels = 3, .height = 16, .width = 16};
  Loader loader(*dataset, options, 1, {.threads = 2, .batch_capacity = 3});
  loader.request({.samples = {4, 0, 7}});
  const Batch batch = loader.next();
  ASSERT_EQ(batch.labels.size(), 3u * 16 * 16);
  std::vector<float> pixels(16 * 16 * 3);
  std::vector<std::int32_t> labels(16 * 16);
  Image image;
  dataset->read(7, image);
  augment(image, options, {1, 0, 7}, true, pixels.data(), labels.data());
  EXPECT_TRUE(std::equal(labels.begin(), labels.end(), batch.labels.begin() + 2 * 16 * 16));
}

TEST(SyntheticMasks, CanBePacked) {
  TempFolder folder;
  const auto source = open_dataset(synthetic());
  const std::vector<const Dataset*> splits{source.get()};
  const std::string path = folder.path() + "/set.h5";
  pack_dataset(splits, path);
  const auto packed = open_dataset({.source = "packed", .path = path});
  Image expected, found;
  source->read(5, expected);
  packed->read(5, found);
  EXPECT_TRUE(packed->info().masks);
  EXPECT_EQ(found.mask, expected.mask);
  EXPECT_EQ(found.pixels, expected.pixels);
}

}  // namespace
}  // namespace lockstep
