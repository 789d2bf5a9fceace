#include "data/image_file.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#ifdef LOCKSTEP_JPEG
#include <turbojpeg.h>
#endif
#ifdef LOCKSTEP_PNG
#include <spng.h>
#endif

#include "data/error.h"
#include "data/exif.h"

namespace lockstep {
namespace {

void resize_image(Image& image, int height, int width, int channels) {
  image.height = height;
  image.width = width;
  image.channels = channels;
  image.pixels.resize(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
                      static_cast<std::size_t>(channels));
}

void check_size(const char* format, std::int64_t height, std::int64_t width) {
  if (height < 1 || width < 1 || height > kMaxImagePixels / width) {
    throw DataError(std::string(format) + " of " + std::to_string(height) + " x " +
                    std::to_string(width) + " pixels; at most " + std::to_string(kMaxImagePixels) +
                    " are accepted");
  }
}

#ifdef LOCKSTEP_JPEG
struct DestroyJpeg {
  void operator()(void* handle) const { tjDestroy(handle); }
};

/// 1, 2, 4 or 8: the most that the picture may be divided by.
int choose_divisor(double least_scale) {
  int divisor = 8;
  while (divisor > 1 && 1.0 < least_scale * divisor) divisor /= 2;
  return divisor;
}

/// CMYK as Adobe stores it, inverted (0 is full ink), to RGB, in place of the first three quarters.
void cmyk_to_rgb(Image& image) {
  const std::size_t count = image.pixels.size() / 4;
  for (std::size_t i = 0; i < count; ++i) {
    const int black = image.pixels[4 * i + 3];
    for (std::size_t c = 0; c < 3; ++c) {
      image.pixels[3 * i + c] = static_cast<std::uint8_t>(image.pixels[4 * i + c] * black / 255);
    }
  }
  resize_image(image, image.height, image.width, 3);
}

/// Whether the marker of the end (FF D9) comes after the last scan's (FF DA); a thumbnail's comes
/// before.
bool has_end(std::span<const std::uint8_t> file) {
  for (std::size_t i = file.size(); i >= 2; --i) {
    if (file[i - 2] != 0xFF) continue;
    if (file[i - 1] == 0xD9) return true;
    if (file[i - 1] == 0xDA) return false;
  }
  return false;
}

void decode_jpeg(std::span<const std::uint8_t> file, Image& out, const LeastScale& least_scale,
                 Orientation wanted) {
  const std::unique_ptr<void, DestroyJpeg> handle(tjInitDecompress());
  if (!handle) throw InternalError("turbojpeg: tjInitDecompress failed");
  const auto size = static_cast<unsigned long>(file.size());
  const auto refuse = [&](const std::string& what) -> DataError {
    return DataError(what + " (JPEG of " + std::to_string(size) +
                     " bytes): " + tjGetErrorStr2(handle.get()));
  };
  const std::string cut = "ends too early, at offset " + std::to_string(size);
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colours = 0;
  if (tjDecompressHeader3(handle.get(), file.data(), size, &width, &height, &subsampling,
                          &colours) != 0 &&
      tjGetErrorCode(handle.get()) != TJERR_WARNING) {
    throw refuse(has_end(file) ? "damaged header" : cut);
  }
  if (height < 1 || width < 1) throw refuse(has_end(file) ? "no size in its header" : cut);
  check_size("JPEG", height, width);
  const int orientation = wanted == Orientation::kUpright ? exif_orientation(file) : 1;
  const auto scale = [&] {
    return exchanges_sides(orientation) ? least_scale(width, height) : least_scale(height, width);
  };
  const int divisor = least_scale ? choose_divisor(scale()) : 1;
  const bool cmyk = colours == TJCS_CMYK || colours == TJCS_YCCK;
  const int format = cmyk ? TJPF_CMYK : colours == TJCS_GRAY ? TJPF_GRAY : TJPF_RGB;
  resize_image(out, (height + divisor - 1) / divisor, (width + divisor - 1) / divisor,
               tjPixelSize[format]);
#ifdef TJFLAG_LIMITSCANS
  const int flags = TJFLAG_LIMITSCANS;  // a small progressive file cannot ask for hours of work
#else
  const int flags = 0;
#endif
  if (tjDecompress2(handle.get(), file.data(), size, out.pixels.data(), out.width, 0, out.height,
                    format, flags) != 0) {
    // Other warnings are common in photographs of the wild (bytes between segments) and harmless.
    const std::string reason = tjGetErrorStr2(handle.get());
    if (!has_end(file)) throw refuse(cut);
    if (tjGetErrorCode(handle.get()) != TJERR_WARNING ||
        reason.find("premature end") != std::string::npos) {
      throw refuse("damaged data");
    }
  }
  if (cmyk) cmyk_to_rgb(out);
  turn_upright(out, orientation);
}
#endif

#ifdef LOCKSTEP_PNG
struct FreePng {
  void operator()(spng_ctx* context) const { spng_ctx_free(context); }
};

constexpr std::size_t kMostChunkBytes = std::size_t{64} << 20;  // of all that are no pixels

/// A PNG that is being read.
class PngReader {
 public:
  explicit PngReader(std::span<const std::uint8_t> file)
      : size_(file.size()), context_(spng_ctx_new(0)) {
    if (!context_) throw InternalError("spng: spng_ctx_new failed");
    // Text and profiles are compressed as well, and are read on the way: a small file cannot make much.
    run(spng_set_chunk_limits(context_.get(), kMostChunkBytes, kMostChunkBytes), "limits");
    run(spng_set_png_buffer(context_.get(), file.data(), file.size()), "file");
    run(spng_get_ihdr(context_.get(), &header_), "header");
    check_size("PNG", header_.height, header_.width);
  }
  const spng_ihdr& header() const { return header_; }

  void decode(std::vector<std::uint8_t>& out, int format) {
    run(spng_decode_image(context_.get(), out.data(), out.size(), format, 0), "data");
    run(spng_decode_chunks(context_.get()), "end");  // up to the last one, so that a cut is seen
  }

 private:
  void run(int status, const char* what) const {
    if (status == 0) return;
    const bool cut = status == SPNG_IO_EOF;
    throw DataError((cut ? "ends too early, at offset " + std::to_string(size_)
                         : std::string("damaged ") + what) +
                    " (PNG of " + std::to_string(size_) + " bytes): " + spng_strerror(status));
  }

  std::size_t size_;
  std::unique_ptr<spng_ctx, FreePng> context_;
  spng_ihdr header_{};
};

void decode_png(std::span<const std::uint8_t> file, Image& out) {
  PngReader png(file);
  const spng_ihdr& header = png.header();
  const bool grey = header.color_type == SPNG_COLOR_TYPE_GRAYSCALE ||
                    header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
  // The library makes 8-bit grey of plain grey up to 8 bits only; else R = G = B, one of which is
  // kept.
  const bool direct = header.color_type == SPNG_COLOR_TYPE_GRAYSCALE && header.bit_depth <= 8;
  resize_image(out, static_cast<int>(header.height), static_cast<int>(header.width),
               direct ? 1 : 3);
  png.decode(out.pixels, direct ? SPNG_FMT_G8 : SPNG_FMT_RGB8);
  if (grey && !direct) {
    for (std::size_t i = 0; i < out.pixels.size() / 3; ++i) out.pixels[i] = out.pixels[3 * i];
    resize_image(out, out.height, out.width, 1);
  }
}

void decode_png_mask(std::span<const std::uint8_t> file, Image& out) {
  PngReader png(file);
  const spng_ihdr& header = png.header();
  const bool one_byte = header.bit_depth == 8 && (header.color_type == SPNG_COLOR_TYPE_GRAYSCALE ||
                                                  header.color_type == SPNG_COLOR_TYPE_INDEXED);
  if (!one_byte)
    throw DataError(
        "a mask must be a PNG of 8-bit grey or with an 8-bit palette, whose values are "
        "the classes");
  if (static_cast<int>(header.height) != out.height || static_cast<int>(header.width) != out.width)
    throw DataError("a mask of " + std::to_string(header.height) + " x " +
                    std::to_string(header.width) + " pixels for a picture of " +
                    std::to_string(out.height) + " x " + std::to_string(out.width));
  out.mask.resize(static_cast<std::size_t>(header.height) * header.width);
  png.decode(out.mask, SPNG_FMT_PNG);
}
#endif

bool starts_with(std::span<const std::uint8_t> file, std::initializer_list<std::uint8_t> bytes) {
  return file.size() >= bytes.size() && std::equal(bytes.begin(), bytes.end(), file.begin());
}

}  // namespace

void decode_image_file(std::span<const std::uint8_t> file, Image& out,
                       [[maybe_unused]] const LeastScale& least_scale,
                       [[maybe_unused]] Orientation orientation) {
  if (file.empty()) throw DataError("an empty file");
  if (starts_with(file, {0xFF, 0xD8, 0xFF})) {
    require_codec(".jpg");
#ifdef LOCKSTEP_JPEG
    decode_jpeg(file, out, least_scale, orientation);
#endif
  } else if (starts_with(file, {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'})) {
    require_codec(".png");
#ifdef LOCKSTEP_PNG
    decode_png(file, out);
#endif
  } else {
    throw DataError("offset 0: neither a JPEG nor a PNG file");
  }
}

void decode_mask_file([[maybe_unused]] std::span<const std::uint8_t> file,
                      [[maybe_unused]] Image& out) {
  require_codec(".png");
#ifdef LOCKSTEP_PNG
  decode_png_mask(file, out);
#endif
}

void require_codec([[maybe_unused]] const std::string& ending) {
#ifndef LOCKSTEP_JPEG
  if (ending != ".png") {
    throw ConfigError(
        "this build cannot read JPEG: install turbojpeg (libturbojpeg0-dev), build again");
  }
#endif
#ifndef LOCKSTEP_PNG
  if (ending == ".png") {
    throw ConfigError("this build cannot read PNG: install spng (libspng-dev), build again");
  }
#endif
}

}  // namespace lockstep
