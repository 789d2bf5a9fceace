#include "data/augment.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <string>

#include "data/error.h"
#include "data/random.h"
#include "data/resample.h"

namespace lockstep {
namespace {

constexpr std::int64_t kMaxScaledSide = std::int64_t{1} << 24;

void require(bool good, const std::string& message) {
  if (!good) throw ConfigError("augmentation: " + message);
}

/// What is drawn for one sample. Every use has its own numbers, so switching one off changes no
/// other.
struct Draws {
  PhiloxCounter window;  // top, left, flip
  PhiloxCounter cutout;  // y, x
  RandomStream crop;     // as many as it takes

  static Draws of(const AugmentKey& key) {
    const PhiloxKey bits = random_key(key.seed, RandomUse::kAugment);
    const auto sample = static_cast<std::uint64_t>(key.sample);
    const auto epoch = static_cast<std::uint32_t>(key.epoch);
    const auto low = static_cast<std::uint32_t>(sample);
    const auto high = static_cast<std::uint32_t>(sample >> 32) << 2;
    return {philox({0, low, high | 1, epoch}, bits), philox({0, low, high | 2, epoch}, bits),
            RandomStream(bits, {low, high | 3, epoch})};
  }
};

struct Size {
  int height;
  int width;
};

/// As torchvision: ten tries for area and ratio, then the largest centred crop within the ratios. A
/// try is judged by fractions of the sides, so that the crop of a picture that was decoded smaller
/// is the same.
Rect draw_crop(const Size& image, const AugmentOptions& options, RandomStream random) {
  const double aspect = static_cast<double>(image.width) / image.height;
  const float log_min = std::log(options.crop_ratio_min);
  const float log_max = std::log(options.crop_ratio_max);
  const auto pixels = [](double part, int side) {
    return std::clamp(static_cast<int>(std::lround(part * side)), 1, side);
  };
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double area = random.uniform(options.crop_scale_min, options.crop_scale_max);
    const double ratio = std::exp(static_cast<double>(random.uniform(log_min, log_max)));
    const double part_of_width = std::sqrt(area * ratio / aspect);
    const double part_of_height = std::sqrt(area / ratio * aspect);
    const std::uint32_t y = random.next();
    const std::uint32_t x = random.next();
    if (part_of_width > 1 || part_of_height > 1) continue;
    const int height = pixels(part_of_height, image.height);
    const int width = pixels(part_of_width, image.width);
    const auto rows = static_cast<std::uint64_t>(image.height - height + 1);
    const auto columns = static_cast<std::uint64_t>(image.width - width + 1);
    return {static_cast<int>(integer_below(y, 0, rows)),
            static_cast<int>(integer_below(x, 0, columns)), height, width};
  }
  const double nearest = std::clamp(aspect, static_cast<double>(options.crop_ratio_min),
                                    static_cast<double>(options.crop_ratio_max));
  int width = image.width;
  int height = image.height;
  if (aspect < nearest) height = static_cast<int>(std::lround(width / nearest));
  if (aspect > nearest) width = static_cast<int>(std::lround(height * nearest));
  width = std::clamp(width, 1, image.width);
  height = std::clamp(height, 1, image.height);
  return {(image.height - height) / 2, (image.width - width) / 2, height, width};
}

/// Where the input's first pixel lies in a picture of `size`: negative where padding comes first.
int draw_start(int size, int wanted, int pad, bool training, std::uint32_t bits) {
  const int slack = size + 2 * pad - wanted;
  if (!training || slack < 0) {
    const int middle = size - wanted;
    return middle >= 0 ? middle / 2 : -((-middle) / 2);
  }
  return static_cast<int>(integer_below(bits, 0, static_cast<std::uint64_t>(slack) + 1)) - pad;
}

/// (pixel / 255 - mean) / std = pixel * scale + shift.
struct Normalization {
  std::vector<float>
      scale;  // [width, channels], one row: the inner loop runs over it without a division
  std::vector<float> shift;

  explicit Normalization(const AugmentOptions& options) {
    const auto channels = static_cast<std::size_t>(options.channels);
    const std::size_t row = static_cast<std::size_t>(options.width) * channels;
    scale.resize(row);
    shift.resize(row);
    for (std::size_t i = 0; i < row; ++i) {
      const std::size_t c = i % channels;
      const auto of = [c](const std::vector<float>& values, float otherwise) {
        return values.empty() ? otherwise : values[values.size() == 1 ? 0 : c];
      };
      scale[i] = 1.0f / (255.0f * of(options.std, 1.0f));
      shift[i] = -of(options.mean, 0.0f) / of(options.std, 1.0f);
    }
  }
};

/// `count` pixels of the picture to as many of the input: channels adapted, reversed for a flip.
void gather_pixels(const std::uint8_t* src, int src_channels, int count, int dst_channels,
                   bool reversed, std::uint8_t* dst) {
  if (src_channels == dst_channels && !reversed) {
    std::memcpy(dst, src, static_cast<std::size_t>(count) * static_cast<std::size_t>(src_channels));
    return;
  }
  const std::ptrdiff_t step = reversed ? -src_channels : src_channels;
  if (reversed) src += static_cast<std::ptrdiff_t>(count - 1) * src_channels;
  for (int x = 0; x < count; ++x, src += step, dst += dst_channels) {
    if (src_channels == dst_channels) {
      for (int c = 0; c < dst_channels; ++c) dst[c] = src[c];
    } else if (src_channels == 1) {
      for (int c = 0; c < dst_channels; ++c) dst[c] = src[0];
    } else {
      int sum = 0;
      for (int c = 0; c < src_channels; ++c) sum += src[c];
      dst[0] = static_cast<std::uint8_t>((sum + src_channels / 2) / src_channels);
    }
  }
}

void write_row(const std::uint8_t* pixels, std::size_t values, const float* scale,
               const float* shift, float* dst) {
  for (std::size_t i = 0; i < values; ++i) {
    dst[i] = static_cast<float>(pixels[i]) * scale[i] + shift[i];
  }
}

/// One row of pixels [W,C] -> row y of each plane of dst [C,H,W].
void scatter_row(const float* row, int y, const AugmentOptions& options, float* dst) {
  const auto plane =
      static_cast<std::size_t>(options.height) * static_cast<std::size_t>(options.width);
  dst += static_cast<std::size_t>(y) * static_cast<std::size_t>(options.width);
  for (int c = 0; c < options.channels; ++c, dst += plane)
    for (int x = 0; x < options.width; ++x) dst[x] = row[x * options.channels + c];
}

/// The window of `image` that starts at (top, left); 0 where it lies outside.
void write_window(const Image& image, int top, int left, bool flip, const AugmentOptions& options,
                  float* dst) {
  const Normalization normalization(options);
  const auto channels = static_cast<std::size_t>(options.channels);
  const std::size_t row_values = static_cast<std::size_t>(options.width) * channels;
  std::vector<std::uint8_t> row(row_values);
  const int first = std::max(0, -left);  // the window's columns [first, last) are in the picture
  const int last = std::max(first, std::min(options.width, image.width - left));
  const auto inside = static_cast<std::size_t>(last - first) * channels;
  const auto begin = static_cast<std::size_t>(flip ? options.width - last : first) * channels;
  const bool planar = options.planar && options.channels > 1;  // else both orders are the same
  std::vector<float> planar_row(planar ? row_values : 0);
  for (int y = 0; y < options.height; ++y) {
    float* out = planar ? planar_row.data() : dst + static_cast<std::size_t>(y) * row_values;
    const int src_y = top + y;
    if (src_y < 0 || src_y >= image.height || inside == 0) {
      std::fill_n(out, row_values, 0.0f);
      if (planar) scatter_row(out, y, options, dst);
      continue;
    }
    const std::size_t pixel =
        static_cast<std::size_t>(src_y) * static_cast<std::size_t>(image.width) +
        static_cast<std::size_t>(left + first);
    gather_pixels(&image.pixels[pixel * static_cast<std::size_t>(image.channels)], image.channels,
                  last - first, options.channels, flip, row.data());
    std::fill_n(out, begin, 0.0f);
    write_row(row.data(), inside, &normalization.scale[begin], &normalization.shift[begin],
              out + begin);
    std::fill_n(out + begin + inside, row_values - begin - inside, 0.0f);
    if (planar) scatter_row(out, y, options, dst);
  }
}

void cut_out(const AugmentOptions& options, const PhiloxCounter& bits, float* dst) {
  const auto centre_y =
      static_cast<int>(integer_below(bits[0], 0, static_cast<std::uint64_t>(options.height)));
  const auto centre_x =
      static_cast<int>(integer_below(bits[1], 0, static_cast<std::uint64_t>(options.width)));
  const int top = std::max(0, centre_y - options.cutout / 2);
  const int left = std::max(0, centre_x - options.cutout / 2);
  const int bottom = std::min(options.height, centre_y - options.cutout / 2 + options.cutout);
  const int right = std::min(options.width, centre_x - options.cutout / 2 + options.cutout);
  // A planar input is `channels` pictures of one channel, one below the other.
  const int planes = options.planar ? options.channels : 1;
  const int channels = options.planar ? 1 : options.channels;
  for (int p = 0; p < planes; ++p) {
    for (int y = top; y < bottom; ++y) {
      const std::ptrdiff_t pixel =
          static_cast<std::ptrdiff_t>(p * options.height + y) * options.width + left;
      std::fill_n(dst + pixel * channels, std::max(0, right - left) * channels, 0.0f);
    }
  }
}

/// What of a picture becomes the input: `crop` is scaled to height x width, and the input's first
/// pixel is (top, left) of that.
struct View {
  Rect crop;
  int height, width;
  int top = 0, left = 0;
};

/// The labels of what write_window() writes: of the nearest pixel, -1 where there is none.
void write_labels(const Image& image, const View& view, bool flip, const AugmentOptions& options,
                  std::int32_t* labels) {
  // Of the pixel whose part of the picture holds the centre of `at`.
  const auto source = [](int at, int scaled, int begin, int size) {
    return begin + static_cast<int>((2 * std::int64_t{at} + 1) * size / (2 * std::int64_t{scaled}));
  };
  for (int y = 0; y < options.height; ++y) {
    const int row = view.top + y;
    const bool inside = row >= 0 && row < view.height;
    const int src_y = inside ? source(row, view.height, view.crop.top, view.crop.height) : 0;
    for (int x = 0; x < options.width; ++x) {
      const int column = view.left + (flip ? options.width - 1 - x : x);
      std::int32_t label = -1;
      if (inside && column >= 0 && column < view.width) {
        const int src_x = source(column, view.width, view.crop.left, view.crop.width);
        const auto pixel = static_cast<std::size_t>(src_y) * static_cast<std::size_t>(image.width) +
                           static_cast<std::size_t>(src_x);
        if (image.mask[pixel] != kNoLabel) label = image.mask[pixel];
      }
      *labels++ = label;
    }
  }
}

/// Scales the shorter side to options.resize; only the window that will be used is computed, and
/// top and left then count from its corner (those of the view from the whole's).
View resize_window(const Image& image, const AugmentOptions& options, const Draws& draws,
                   bool training, int& top, int& left, Image& resized) {
  const int shorter = std::min(image.height, image.width);
  const auto scaled = [&](int side) {
    const std::int64_t pixels = std::int64_t{side} * options.resize / shorter;
    if (pixels > kMaxScaledSide) {
      throw DataError("a picture of " + std::to_string(image.height) + " x " +
                      std::to_string(image.width) + " is too narrow to scale its shorter side to " +
                      std::to_string(options.resize));
    }
    return static_cast<int>(pixels);
  };
  const int height = scaled(image.height);
  const int width = scaled(image.width);
  top = draw_start(height, options.height, options.pad, training, draws.window[0]);
  left = draw_start(width, options.width, options.pad, training, draws.window[1]);
  const View view{{0, 0, image.height, image.width}, height, width, top, left};
  Rect window{std::max(0, top), std::max(0, left), 0, 0};
  window.height = std::min(height, top + options.height) - window.top;
  window.width = std::min(width, left + options.width) - window.left;
  resample(image, {0, 0, image.height, image.width}, height, width, window, resized);
  top -= window.top;
  left -= window.left;
  return view;
}

}  // namespace

bool can_become(int image_channels, int input_channels) {
  return image_channels == input_channels || (image_channels == 1 && input_channels == 3) ||
         (image_channels == 3 && input_channels == 1);
}

void check(const AugmentOptions& options) {
  const auto channels = static_cast<std::size_t>(std::max(0, options.channels));
  require(options.channels >= 1 && options.channels <= kMaxChannels,
          "channels must be 1 to " + std::to_string(kMaxChannels));
  require(options.height > 0 && options.width > 0, "height and width must be at least 1");
  require(std::int64_t{options.height} * options.width <= kMaxImagePixels,
          "height x width is more than " + std::to_string(kMaxImagePixels) + " pixels");
  require(options.pad >= 0 && options.pad < std::min(options.height, options.width),
          "pad must be at least 0 and smaller than the input");
  require(options.cutout >= 0, "cutout must be at least 0");
  require(options.resize == 0 || options.resize >= std::max(options.height, options.width),
          "resize (" + std::to_string(options.resize) + ") must be 0 or at least the input's " +
              std::to_string(std::max(options.height, options.width)));
  require(options.resize <= 16384, "resize must be at most 16384");
  require(options.crop_scale_min > 0 && options.crop_scale_min <= options.crop_scale_max &&
              options.crop_scale_max <= 1,
          "crop scales must satisfy 0 < min <= max <= 1");
  require(options.crop_ratio_min > 0 && options.crop_ratio_min <= options.crop_ratio_max &&
              std::isfinite(options.crop_ratio_max),
          "crop ratios must satisfy 0 < min <= max");
  for (const auto* values : {&options.mean, &options.std}) {
    require(values->size() <= 1 || values->size() == channels,
            "mean and std have one number, or one per channel (" +
                std::to_string(options.channels) + ")");
    require(std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); }),
            "mean and std must be finite");
  }
  require(std::all_of(options.std.begin(), options.std.end(), [](float v) { return v > 0; }),
          "std must be above 0");
}

void augment(const Image& image, const AugmentOptions& options, const AugmentKey& key,
             bool training, float* dst, std::int32_t* labels) {
  if (!can_become(image.channels, options.channels)) {
    throw DataError("a picture of " + std::to_string(image.channels) +
                    " channels cannot become an input of " + std::to_string(options.channels));
  }
  const Draws draws = Draws::of(key);
  const Image* source = &image;
  Image scaled;
  int top = 0;
  int left = 0;
  View view{{0, 0, image.height, image.width}, image.height, image.width};
  if (training && options.random_resized_crop) {
    const Rect crop = draw_crop({image.height, image.width}, options, draws.crop);
    resample(image, crop, options.height, options.width, {0, 0, options.height, options.width},
             scaled);
    source = &scaled;
    view = {crop, options.height, options.width};
  } else if (options.resize > 0 && std::min(image.height, image.width) != options.resize) {
    view = resize_window(image, options, draws, training, top, left, scaled);
    source = &scaled;
  } else {
    top = draw_start(image.height, options.height, options.pad, training, draws.window[0]);
    left = draw_start(image.width, options.width, options.pad, training, draws.window[1]);
    view.top = top;
    view.left = left;
  }
  const bool flip = training && options.flip && (draws.window[2] >> 31) != 0;
  write_window(*source, top, left, flip, options, dst);
  if (labels) write_labels(image, view, flip, options, labels);
  if (training && options.cutout > 0) cut_out(options, draws.cutout, dst);
}

double least_scale(const AugmentOptions& options, const AugmentKey& key, bool training, int height,
                   int width) {
  double scale = 1.0;
  if (training && options.random_resized_crop) {
    const Rect crop = draw_crop({height, width}, options, Draws::of(key).crop);
    scale = std::max(static_cast<double>(options.height) / crop.height,
                     static_cast<double>(options.width) / crop.width);
  } else if (options.resize > 0) {
    scale = static_cast<double>(options.resize) / std::min(height, width);
  }
  return std::min(1.0, scale);
}

}  // namespace lockstep
