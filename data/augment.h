#pragma once
#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace lockstep {

/// How a picture becomes the network's input.
/// Training:   [random resized crop | resize], random crop from the padded picture, flip,
/// normalize, cutout. Validation: [resize], centre crop, normalize. A picture that is smaller than
/// the input is centred in it. What is added around a picture, and what cutout removes, is 0 after
/// normalization: the mean colour.
struct AugmentOptions {
  // of the network's input, as many as the pictures have; of 1 three are made, of 3 one (grey)
  int channels = 3;
  int height = 32;
  int width = 32;
  int pad = 0;        // pixels on each side before the random crop; 0: no padding
  bool flip = false;  // left to right, every second time
  int cutout = 0;  // side of the square, in pixels; 0: off. DeVries & Taylor 2017, arXiv:1708.04552
  bool random_resized_crop = false;  // in training; validation uses `resize`
  float crop_scale_min = 0.08f;      // part of the picture's area
  float crop_scale_max = 1.0f;
  float crop_ratio_min = 0.75f;  // width : height
  float crop_ratio_max = 4.0f / 3.0f;
  int resize = 0;           // the shorter side is scaled to it, in pixels; 0: not scaled
  std::vector<float> mean;  // of pixels in [0,1]: one per channel, or one for all; empty: 0
  std::vector<float> std;   // likewise; empty: 1
  bool planar = false;      // dst is [C,H,W] instead of [H,W,C]; what the first convolution likes
};

/// Names what is drawn for a sample: the same key gives the same input, on any rank, at any time.
struct AugmentKey {
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  std::int64_t sample = 0;
};

/// @throws ConfigError naming the option and the range that it has.
void check(const AugmentOptions& options);

/// Whether augment() makes an input of so many channels of a picture: the same number, or grey <-> three colours.
bool can_become(int image_channels, int input_channels);

/// dst: [height,width,channels] ([channels,height,width] if planar), normalized: (pixel / 255 - mean) / std. A pure function of its
/// arguments. `options` must have passed check(). @throws DataError unless
/// can_become(). `labels` [height,width], where the picture has a mask: that of the nearest pixel, -1
/// where there is no pixel or it has none. Cutout leaves them.
void augment(const Image& image, const AugmentOptions& options, const AugmentKey& key,
             bool training, float* dst, std::int32_t* labels = nullptr);

/// The smallest scale at which a picture of height x width still serves augment() with these
/// arguments without being enlarged where the whole would be shrunk: for Dataset::read_reduced. In
/// (0, 1].
double least_scale(const AugmentOptions& options, const AugmentKey& key, bool training, int height,
                   int width);

}  // namespace lockstep
