// JPEG and PNG files, alone and with a mask. Modes, added: 1 a PNG's checksums repaired; 2 the
// picture read at an eighth where possible, the masks' classes given and not counted.
#include "data/dataset.h"
#include "data/image_file.h"
#include "tests/fuzz/format.h"
#include "tests/fuzz/pictures.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

// A picture of kMaxImagePixels: 4 bytes a pixel, and a progressive JPEG's coefficients, 2 bytes for
// each of 4 colours.
constexpr MemoryBound kPictureBound{(std::uint64_t{64} << 20) * 12 + (std::uint64_t{64} << 20), 16};

Vocabulary vocabulary() {
  Vocabulary words;
  words.words = {"IDAT", "IEND", "PLTE", "tRNS", "iCCP", "zTXt", "iTXt", "sPLT", "eXIf", "hIST"};
  for (const char marker :
       {'\xc0', '\xc2', '\xc4', '\xc9', '\xcc', '\xd8', '\xd9', '\xda', '\xdb', '\xdd', '\xee'}) {
    words.words.push_back({'\xff', marker});
  }
  words.marks = {"IHDR",     "PLTE",     "IDAT",     "tRNS",    "\xff\xc0",
                 "\xff\xc2", "\xff\xc4", "\xff\xda", "\xff\xdb"};
  return words;
}

const std::vector<std::string>& pngs() {
  static const std::vector<std::string> files = {
      picture("colour.png"),
      picture("grey.png"),
      picture("grey16.png"),
      picture("grey_transparent.png"),
      picture("palette.png"),
      picture("transparent.png"),
      png_with({{"zTXt", std::string("a\0\0", 3) + deflate_bytes(std::string(100, 'a'), false)},
                {"tEXt", std::string("b\0text", 6)},
                {"gAMA", std::string("\0\0\xb1\x8f", 4)}},
               2, true),
      png_with({{"iCCP", std::string("p\0\0", 3) + deflate_bytes(std::string(200, 'p'), false)},
                {"tIME", std::string("\x07\xe8\1\1\1\1\1", 7)}},
               6, false),
      png_with({{"PLTE", std::string(9, 'p')},
                {"tRNS", std::string(2, 't')},
                {"hIST", std::string(6, 'h')}},
               3, true)};
  return files;
}

class ImageFormat : public Format {
 public:
  ImageFormat() : Format("image", 1, 4, kPictureBound) {
    for (const char* name : {"colour.jpg", "grey.jpg", "cmyk.jpg", "progressive.jpg"}) {
      originals_.push_back({0, {picture(name)}});
    }
    for (const std::string& file : pngs()) originals_.push_back({1, {file}});
    vocabulary_ = fuzz::vocabulary();
  }

  void read(const Input& input, const fs::path&) const override {
    std::string file = input.files[0];
    if (input.mode & 1) repair_png(file);
    Image image;
    decode_image_file({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, image,
                      input.mode & 2 ? [](int, int) { return 0.125; } : LeastScale());
    const auto pixels =
        static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width);
    if (image.pixels.size() != pixels * static_cast<std::size_t>(image.channels)) {
      throw Finding("a picture whose pixels are not those of its sides");
    }
  }
};

class MasksFormat : public Format {
 public:
  MasksFormat() : Format("masks", 2, 4, kPictureBound) {
    for (const char* name : {"colour.png", "colour.jpg", "transparent.png"}) {
      for (const char* mask : {"grey.png", "palette.png"}) {
        const std::string file = name == std::string("colour.jpg") ? "grey_transparent.png" : name;
        originals_.push_back({0, {picture(file), picture(mask)}});
      }
    }
    vocabulary_ = fuzz::vocabulary();
  }

  void read(const Input& input, const fs::path& folder) const override {
    constexpr const char* kPaths[] = {"train/images/a.png", "train/masks/a.png"};
    for (std::size_t f = 0; f < 2; ++f) {
      std::string file = input.files[f];
      if (input.mode & 1) repair_png(file);
      fs::create_directories((folder / kPaths[f]).parent_path());
      spill(folder / kPaths[f], file, input.mode);
    }
    DatasetOptions options{.source = "masks", .path = folder.string()};
    if (input.mode & 2) options.classes = 25;
    options.ignore_label = 20;
    const auto dataset = open_dataset(options);
    Image image;
    for (std::int64_t i = 0; i < dataset->size(); ++i) {
      dataset->read(i, image);
      check(image, dataset->info().classes);
    }
  }

 private:
  static void check(const Image& image, int classes) {
    if (image.mask.size() !=
        static_cast<std::size_t>(image.height) * static_cast<std::size_t>(image.width)) {
      throw Finding("a mask that is not of its picture's size");
    }
    for (const std::uint8_t label : image.mask) {
      if (label >= classes && label != kNoLabel) throw Finding("a mask with a label of no class");
    }
  }
};

}  // namespace

std::unique_ptr<Format> make_image_format() { return std::make_unique<ImageFormat>(); }
std::unique_ptr<Format> make_masks_format() { return std::make_unique<MasksFormat>(); }

}  // namespace lockstep::fuzz
