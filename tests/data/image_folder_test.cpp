#include <gtest/gtest.h>

#include <cmath>

#include "data/dataset.h"
#include "data/error.h"
#include "data/image_file.h"
#include "data/image_folder.h"
#include "data/read_file.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// One of the pictures that make_pictures.py has made.
Bytes picture(const std::string& name) {
  return read_file(LOCKSTEP_SOURCE_DIR "/tests/data/pictures/" + name, 1 << 20);
}

Image decoded(const std::string& name, const LeastScale& least_scale = nullptr) {
  Image image;
  decode_image_file(picture(name), image, least_scale);
  return image;
}

/// Compares with the ramps of make_pictures.py, sampled at the middle of each block of `divisor`
/// pixels.
void expect_ramps(const Image& image, double tolerance, int divisor = 1) {
  ASSERT_EQ(image.pixels.size(),
            static_cast<std::size_t>(image.height * image.width * image.channels));
  const double middle = (divisor - 1) / 2.0;
  std::size_t i = 0;
  for (int row = 0; row < image.height; ++row) {
    for (int column = 0; column < image.width; ++column) {
      const double y = row * divisor + middle;
      const double x = column * divisor + middle;
      const double colour[] = {3 * x, 4 * y, 128};
      for (int c = 0; c < image.channels; ++c) {
        const double expected = image.channels == 1 ? 2 * (x + y) : colour[c];
        ASSERT_NEAR(image.pixels[i++], expected, tolerance) << row << "," << column << "," << c;
      }
    }
  }
}

TEST(ImageFile, DecodesJpeg) {
  for (const char* name : {"colour.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg"}) {
    SCOPED_TRACE(name);
    const Image image = decoded(name);
    EXPECT_EQ(image.height, 48);
    EXPECT_EQ(image.width, 64);
    EXPECT_EQ(image.channels, name == std::string("grey.jpg") ? 1 : 3);
    expect_ramps(image, 8);
  }
}

TEST(ImageFile, DecodesPngExactly) {
  for (const char* name : {"colour.png", "palette.png", "transparent.png", "grey.png", "grey16.png",
                           "grey_transparent.png"}) {
    SCOPED_TRACE(name);
    const Image image = decoded(name);
    EXPECT_EQ(image.height, 6);
    EXPECT_EQ(image.width, 8);
    EXPECT_EQ(image.channels, std::string(name).starts_with("grey") ? 1 : 3);
    expect_ramps(image, 0);
  }
}

TEST(ImageFile, DecodesJpegNoLargerThanNeeded) {
  for (const auto& [scale, divisor] :
       {std::pair{1.0, 1}, {0.51, 1}, {0.5, 2}, {0.3, 2}, {0.2, 4}, {0.125, 8}, {0.01, 8}}) {
    const Image image = decoded("colour.jpg", [&, s = scale](int height, int width) {
      EXPECT_EQ(height, 48);
      EXPECT_EQ(width, 64);
      return s;
    });
    EXPECT_EQ(image.height, 48 / divisor) << scale;
    expect_ramps(image, 8, divisor);
  }
}

TEST(ImageFile, RefusesEveryCut) {
  for (const char* name :
       {"colour.jpg", "progressive.jpg", "grey.jpg", "colour.png", "grey16.png"}) {
    const Bytes whole = picture(name);
    // The last two bytes of a JPEG only say that it ends; what a PNG's end chunk holds is not
    // needed either.
    for (std::size_t length = 0; length + 14 < whole.size(); length += 1 + length / 16) {
      Image image;
      const std::string said =
          message_of<DataError>([&] { decode_image_file(std::span(whole).first(length), image); });
      if (length < 8) continue;  // may be anything
      EXPECT_TRUE(contains(said, "ends too early, at offset " + std::to_string(length)))
          << name << ", " << length << " of " << whole.size() << ": " << said;
    }
  }
}

TEST(ImageFile, RefusesGarbageAndHugeClaims) {
  Image image;
  EXPECT_TRUE(contains(message_of<DataError>([&] { decode_image_file({}, image); }), "empty"));
  const Bytes text{'h', 'e', 'l', 'l', 'o', ' ', 'w', 'o', 'r', 'l', 'd'};
  EXPECT_TRUE(contains(message_of<DataError>([&] { decode_image_file(text, image); }), "neither"));
  Bytes jpeg{0xFF, 0xD8, 0xFF};
  jpeg.resize(5000, 0x55);
  EXPECT_THROW(decode_image_file(jpeg, image), DataError);
  // The frame header of a JPEG holds height and width: 65,500 x 65,500 is over the limit.
  jpeg = picture("colour.jpg");
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) {
      jpeg[i + 5] = jpeg[i + 7] = 0xFF;
      jpeg[i + 6] = jpeg[i + 8] = 0xDC;
      break;
    }
  }
  EXPECT_TRUE(contains(message_of<DataError>([&] { decode_image_file(jpeg, image); }),
                       "65500 x 65500 pixels"));
  Bytes png = picture("colour.png");
  png[16] = 0x7F;  // width, but the checksum of the chunk no longer holds either
  EXPECT_THROW(decode_image_file(png, image), DataError);
}

TEST(ImageFile, SurvivesEveryChangedByte) {
  for (const char* name : {"colour.jpg", "colour.png"}) {
    const Bytes whole = picture(name);
    for (std::size_t at = 0; at < whole.size(); at += 3) {
      Bytes changed = whole;
      changed[at] ^= 0xFF;
      Image image;
      try {
        decode_image_file(changed, image);
        EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.height) *
                                           static_cast<std::size_t>(image.width) *
                                           static_cast<std::size_t>(image.channels));
      } catch (const DataError&) {
      }
    }
  }
}

/// What an EXIF block in either byte order says: one entry of the directory, or a few before it.
Bytes exif_block(bool little, int orientation) {
  Bytes block{'E', 'x', 'i', 'f', 0, 0};
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i)
      block.push_back(static_cast<std::uint8_t>(value >> 8 * (little ? i : bytes - 1 - i)));
  };
  block.insert(block.end(), 2, little ? 'I' : 'M');
  put(42, 2);
  put(8, 4);  // where the directory is
  put(2, 2);  // entries: tag, type, count, value
  put(0x0100, 2), put(4, 2), put(1, 4), put(64, 4);
  put(0x0112, 2), put(3, 2), put(1, 4), put(static_cast<std::uint32_t>(orientation), 2), put(0, 2);
  put(0, 4);
  return block;
}

/// colour.jpg with an APP1 segment behind its first marker.
Bytes with_segment(const Bytes& content) {
  Bytes file = picture("colour.jpg");
  Bytes segment{0xFF, 0xE1, static_cast<std::uint8_t>((content.size() + 2) >> 8),
                static_cast<std::uint8_t>(content.size() + 2)};
  segment.insert(segment.end(), content.begin(), content.end());
  file.insert(file.begin() + 2, segment.begin(), segment.end());
  return file;
}

TEST(ImageFile, TurnsPicturesUprightAsExifSays) {
  const Image stored = decoded("colour.jpg");
  const int h = stored.height, w = stored.width;
  for (int orientation = 1; orientation <= 8; ++orientation) {
    SCOPED_TRACE(orientation);
    const Bytes file = with_segment(exif_block(orientation % 2 == 0, orientation));
    Image image;
    decode_image_file(file, image);
    ASSERT_EQ(image.height, orientation < 5 ? h : w);
    ASSERT_EQ(image.width, orientation < 5 ? w : h);
    for (int r = 0; r < h; ++r)
      for (int c = 0; c < w; ++c) {
        // EXIF's table: at which sides of the scene the stored picture's first row and first column are.
        const int places[8][2] = {{r, c}, {r, w - 1 - c}, {h - 1 - r, w - 1 - c}, {h - 1 - r, c},
                                  {c, r}, {c, h - 1 - r}, {w - 1 - c, h - 1 - r}, {w - 1 - c, r}};
        const auto& [y, x] = places[orientation - 1];
        for (int k = 0; k < 3; ++k)
          ASSERT_EQ(image.pixels[static_cast<std::size_t>((y * image.width + x) * 3 + k)],
                    stored.pixels[static_cast<std::size_t>((r * w + c) * 3 + k)])
              << y << "," << x;
      }
    decode_image_file(file, image, [&](int height, int width) {
      EXPECT_EQ(height, orientation < 5 ? h : w);
      EXPECT_EQ(width, orientation < 5 ? w : h);
      return 0.5;
    });
    EXPECT_EQ(image.height, (orientation < 5 ? h : w) / 2);
    decode_image_file(file, image, nullptr, Orientation::kAsStored);
    EXPECT_EQ(image.pixels, stored.pixels);
  }
}

TEST(ImageFile, DecodesWhateverExifClaims) {
  const Image stored = decoded("colour.jpg");
  const Bytes whole = exif_block(true, 6);
  std::vector<Bytes> blocks{exif_block(true, 0), exif_block(false, 9)};
  for (std::size_t length = 0; length < whole.size() - 8; ++length)  // its end says nothing
    blocks.emplace_back(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
  for (const std::size_t at : {8u, 10u, 13u}) {  // no TIFF, and directories beyond the end
    blocks.push_back(whole);
    blocks.back()[at] = 0xFF;
  }
  for (const Bytes& block : blocks) {
    Image image;
    decode_image_file(with_segment(block), image);
    EXPECT_EQ(image.pixels, stored.pixels) << block.size();
  }
}

class Folder : public testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const std::string& split = "train",
                                const std::string& inside = "") const {
    DatasetOptions options;
    options.source = "folder";
    options.path = folder.path() + inside;
    options.split = split;
    return open_dataset(options);
  }
  TempFolder folder;
};

TEST_F(Folder, ClassesAreFoldersSortedByName) {
  folder.write("train/dog/b.PNG", picture("grey.png"));
  folder.write("train/dog/a.jpeg", picture("colour.jpg"));
  folder.write("train/cat/deep/x.jpg", picture("grey.jpg"));
  folder.write("train/cat/.hidden.jpg", {});
  folder.write("train/cat/notes.txt", {1});
  folder.write("train/.cache/y.jpg", {});
  folder.write("val/dog/v.jpg", picture("grey.jpg"));
  const auto train = open();
  EXPECT_EQ(train->info().class_names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train->info().classes, 2);
  ASSERT_EQ(train->size(), 3);
  EXPECT_EQ(train->where(0), folder.path() + "/train/cat/deep/x.jpg");
  EXPECT_EQ(train->where(1), folder.path() + "/train/dog/a.jpeg");
  EXPECT_EQ(train->label(0), 0);
  EXPECT_EQ(train->label(2), 1);
  EXPECT_EQ(train->encoded(1), picture("colour.jpg"));
  Image image;
  train->read(2, image);
  EXPECT_EQ(image.pixels, decoded("grey.png").pixels);
  train->read_reduced(1, image, [](int, int) { return 0.25; });
  EXPECT_EQ(image.width, 16);
  const auto val = open("val");
  EXPECT_EQ(val->size(), 1);
  EXPECT_EQ(val->label(0), 1);  // as in training, though "cat" is missing here
  EXPECT_EQ(val->info().classes, 2);
  EXPECT_EQ(open("train", "/train")->size(), 3);  // a folder of classes
}

TEST_F(Folder, PassedOverFilesAreCounted) {
  folder.write("train/cat/a.jpg", {});
  EXPECT_TRUE(open()->info().warnings.empty());
  folder.write("train/cat/.hidden.txt", {});
  folder.write("train/cat/b.webp", {});
  folder.write("train/cat/deep/c.WEBP", {});
  folder.write("train/cat/d.bmp", {});
  folder.write("train/cat/notes", {});
  const auto dataset = open();
  EXPECT_EQ(dataset->size(), 1);
  ASSERT_EQ(dataset->info().warnings.size(), 1u);
  EXPECT_EQ(dataset->info().warnings[0],
            "files that are neither .jpg, .jpeg nor .png are passed over: 1 without an ending, 1 "
            ".bmp and 2 .webp, e.g. " +
                folder.path() + "/train/cat/b.webp");
}

TEST_F(Folder, LinksToFoldersAreFollowedOnce) {
  namespace fs = std::filesystem;
  const fs::path root = folder.path();
  folder.write("train/cat/a.jpg", {});
  folder.write("train/cat/deep/b.jpg", {});
  folder.write("train/dog/c.jpg", {});
  folder.write("elsewhere/d.jpg", {});
  folder.write("more/bird/e.jpg", {});
  fs::create_directory_symlink(root / "more/bird", root / "train/bird");        // a class
  fs::create_directory_symlink(root / "elsewhere", root / "train/cat/linked");  // a part of one
  fs::create_directory_symlink(root / "train",
                               root / "train/cat/around");  // would lead to dogs, and back
  fs::create_directory_symlink(root / "elsewhere", root / "elsewhere/self");
  fs::create_directory_symlink("deep", root / "train/cat/again");
  const auto dataset = open();
  std::vector<std::string> files;
  for (std::int64_t i = 0; i < dataset->size(); ++i)
    files.push_back(fs::path(dataset->where(i)).lexically_relative(root / "train").string());
  EXPECT_EQ(files, (std::vector<std::string>{"bird/e.jpg", "cat/a.jpg", "cat/deep/b.jpg",
                                             "cat/linked/d.jpg", "dog/c.jpg"}));
  ASSERT_EQ(dataset->info().warnings.size(), 1u);
  EXPECT_TRUE(contains(dataset->info().warnings[0], "lie in, are passed over: 3, e.g. "))
      << dataset->info().warnings[0];
}

TEST_F(Folder, ErrorsNameTheFile) {
  folder.write("train/cat/a.jpg", picture("colour.jpg"));
  folder.write("train/cat/b.jpg", {0xFF, 0xD8, 0xFF, 0xE0, 0, 0});
  folder.write("train/cat/c.jpg", {});
  const auto dataset = open();
  Image image;
  EXPECT_TRUE(
      contains(message_of<DataError>([&] { dataset->read(1, image); }), "/train/cat/b.jpg: "));
  const LeastScale half = [](int, int) { return 0.5; };
  EXPECT_TRUE(contains(message_of<DataError>([&] { dataset->read_reduced(2, image, half); }),
                       "/train/cat/c.jpg: an empty file"));
  std::filesystem::remove(folder.path() + "/train/cat/a.jpg");
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { dataset->read(0, image); }),
                       "/train/cat/a.jpg: no such file"));
}

TEST_F(Folder, SaysWhatLiesTooDeep) {
  const auto complains = [&](const std::string& split, const std::string& inside,
                             const std::string& what) {
    const std::string said = message_of<MissingFileError>([&] { open(split, inside); });
    EXPECT_TRUE(contains(said, what)) << said;
  };
  folder.write("unpacked/photos/train/cat/a.jpg", {});
  folder.write("unpacked/photos/val/cat/b.jpg", {});
  for (const char* split : {"train", "val"})
    complains(split, "/unpacked",
              std::string("/unpacked/") + split + ": no such folder; there is " + folder.path() +
                  "/unpacked/photos/" + split +
                  ", one level deeper: set data.path = " + folder.path() + "/unpacked/photos");
  folder.write("mixed/train/cat/a.jpg", {});
  folder.write("mixed/train/val/cat/b.jpg", {});
  complains("val", "/mixed", "/mixed/train/val, one level deeper: move it to " + folder.path());
  folder.write("twice/train/cat/a.jpg", {});
  folder.write("twice/val/val/cat/b.jpg", {});
  const std::string said = message_of<DataError>([&] { open("val", "/twice"); });
  EXPECT_TRUE(contains(said, "/twice/val/val/cat: a class one level too deep; move it to " +
                                 folder.path() + "/twice/val/cat"))
      << said;
  folder.write("vehicles/rail/train/a.jpg", {});  // a folder of classes, whose pictures lie deeper
  EXPECT_EQ(open("train", "/vehicles")->size(), 1);
}

TEST_F(Folder, PicturesWithoutLabels) {
  folder.write("a/2.png", picture("grey.png"));
  folder.write("a/deep/1.jpg", picture("colour.jpg"));
  folder.write("a/notes.txt", {1});
  folder.write("b.bin", picture("grey.png"));  // named, so its ending says nothing
  const std::vector<std::string> paths{folder.path() + "/b.bin", folder.path() + "/a"};
  const auto pictures = open_pictures(paths);
  ASSERT_EQ(pictures->size(), 3);
  EXPECT_EQ(pictures->where(0), paths[0]);
  EXPECT_EQ(pictures->where(1), paths[1] + "/2.png");
  EXPECT_EQ(pictures->where(2), paths[1] + "/deep/1.jpg");
  ASSERT_EQ(pictures->info().warnings.size(), 1u);
  Image image;
  pictures->read(0, image);
  EXPECT_EQ(image.pixels, decoded("grey.png").pixels);
}

TEST_F(Folder, RefusesFoldersThatAreNoDataset) {
  EXPECT_TRUE(contains(message_of<DataError>([&] { open(); }), "no sub-folders"));
  folder.write("train/cat/a.jpg", {});
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { open("val"); }), "/val: no such folder"));
  EXPECT_THROW(open("train", "/nowhere"), MissingFileError);
  folder.write("val/bird/a.jpg", {});
  EXPECT_TRUE(contains(message_of<DataError>([&] { open("val"); }),
                       "/val/bird: training has no class of this name; it has cat"));
  folder.write("train/dog/readme.txt", {});
  EXPECT_TRUE(contains(message_of<DataError>([&] { open(); }), "/train/dog: a class without"));
}

}  // namespace
}  // namespace lockstep
