#include "data/resample.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace lockstep {
namespace {

/// For each output position: the first input position and the weights of the inputs from there on.
struct Taps {
  std::size_t per_output;      // weights are padded with zeros to this many
  std::vector<int> first;      // [outputs]
  std::vector<int> count;      // [outputs]
  std::vector<float> weights;  // [outputs, per_output]
};

/// Outputs [begin, begin + outputs) of `inputs` positions scaled to `full`.
Taps make_taps(int inputs, int full, int begin, int outputs) {
  const double scale = static_cast<double>(inputs) / full;
  const double support = std::max(scale, 1.0);
  Taps taps;
  taps.per_output = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  taps.first.resize(static_cast<std::size_t>(outputs));
  taps.count.resize(static_cast<std::size_t>(outputs));
  taps.weights.resize(static_cast<std::size_t>(outputs) * taps.per_output);
  for (int o = 0; o < outputs; ++o) {
    const double centre = (begin + o + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(centre - support + 0.5));
    const int last = std::min(inputs, static_cast<int>(centre + support + 0.5));
    float* weights = &taps.weights[static_cast<std::size_t>(o) * taps.per_output];
    double sum = 0;
    for (int i = first; i < last; ++i) {
      const double weight = std::max(0.0, 1.0 - std::abs((i + 0.5 - centre) / support));
      weights[i - first] = static_cast<float>(weight);
      sum += weight;
    }
    for (int i = first; i < last; ++i) {
      weights[i - first] = static_cast<float>(weights[i - first] / sum);
    }
    taps.first[static_cast<std::size_t>(o)] = first;
    taps.count[static_cast<std::size_t>(o)] = last - first;
  }
  return taps;
}

std::uint8_t to_byte(float value) {
  return static_cast<std::uint8_t>(std::clamp(value + 0.5f, 0.0f, 255.0f));
}

/// One row: columns of `src` [width, kChannels] weighted into `dst` [outputs, kChannels].
template <int kChannels>
void scale_row(const float* src, const Taps& taps, std::uint8_t* dst) {
  for (std::size_t o = 0; o < taps.first.size(); ++o) {
    const float* weights = &taps.weights[o * taps.per_output];
    const float* at = src + static_cast<std::ptrdiff_t>(taps.first[o]) * kChannels;
    float sums[kChannels] = {};
    for (int i = 0; i < taps.count[o]; ++i, at += kChannels) {
      for (int c = 0; c < kChannels; ++c) sums[c] += weights[i] * at[c];
    }
    for (int c = 0; c < kChannels; ++c) *dst++ = to_byte(sums[c]);
  }
}

/// The same of any number of channels.
void scale_row(const float* src, std::size_t channels, const Taps& taps, std::vector<float>& sums,
               std::uint8_t* dst) {
  for (std::size_t o = 0; o < taps.first.size(); ++o) {
    const float* weights = &taps.weights[o * taps.per_output];
    const float* at = src + static_cast<std::size_t>(taps.first[o]) * channels;
    sums.assign(channels, 0.0f);
    for (int i = 0; i < taps.count[o]; ++i, at += channels) {
      for (std::size_t c = 0; c < channels; ++c) sums[c] += weights[i] * at[c];
    }
    for (const float sum : sums) *dst++ = to_byte(sum);
  }
}

}  // namespace

void resample(const Image& src, const Rect& crop, int height, int width, const Rect& window,
              Image& dst) {
  const Taps rows = make_taps(crop.height, height, window.top, window.height);
  const Taps columns = make_taps(crop.width, width, window.left, window.width);
  dst.height = window.height;
  dst.width = window.width;
  dst.channels = src.channels;
  const auto channels = static_cast<std::size_t>(src.channels);
  const std::size_t src_row = static_cast<std::size_t>(src.width) * channels;
  const std::size_t dst_row = static_cast<std::size_t>(window.width) * channels;
  dst.pixels.resize(static_cast<std::size_t>(window.height) * dst_row);

  // Rows first: that pass runs over contiguous bytes; and only columns that the window needs.
  const int first_column = columns.first.front();
  const int last_column = columns.first.back() + columns.count.back();
  const std::size_t used = static_cast<std::size_t>(last_column - first_column) * channels;
  std::vector<float> row(static_cast<std::size_t>(crop.width) * channels);
  std::vector<float> channel_sums;
  float* const sums = row.data() + static_cast<std::size_t>(first_column) * channels;
  const std::uint8_t* const corner = src.pixels.data() +
                                     static_cast<std::size_t>(crop.top) * src_row +
                                     static_cast<std::size_t>(crop.left + first_column) * channels;
  for (std::size_t y = 0; y < static_cast<std::size_t>(window.height); ++y) {
    std::fill_n(sums, used, 0.0f);
    for (int i = 0; i < rows.count[y]; ++i) {
      const float weight = rows.weights[y * rows.per_output + static_cast<std::size_t>(i)];
      const std::uint8_t* at = corner + static_cast<std::size_t>(rows.first[y] + i) * src_row;
      for (std::size_t x = 0; x < used; ++x) sums[x] += weight * static_cast<float>(at[x]);
    }
    std::uint8_t* out = dst.pixels.data() + y * dst_row;
    if (channels == 1) {
      scale_row<1>(row.data(), columns, out);
    } else if (channels == 3) {
      scale_row<3>(row.data(), columns, out);
    } else {
      scale_row(row.data(), channels, columns, channel_sums, out);
    }
  }
}

}  // namespace lockstep
