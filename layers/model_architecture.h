#pragma once
#include <vector>

#include "layers/model.h"

namespace lockstep {

enum class StemKind { kCifar, kImagenet, kResnetD };
enum class BlockKind { kBasic, kBottleneck };
enum class ShortcutKind { kPad, kProjection, kProjectionEverywhere, kPlain };
enum class NormKind { kBatch, kGroup, kLayer };

/// Blocks of one resolution. The first of them has the stride.
struct BlockGroup {
  int blocks = 0;
  int width = 0;         // channels of the 3x3 convolutions
  int out_channels = 0;  // channels that leave a block
  int stride = 1;
};

/// What the networks of all families share.
struct LayerOptions {
  NormKind norm = NormKind::kBatch;
  int norm_groups = 32;
  float norm_momentum = 0.1f;
  float norm_eps = 1e-5f;
  Activation activation;
  float label_smoothing = 0.0f;
  float stochastic_depth = 0.0f, conditional_skip = 0.0f;  // of the last block
};

/// ModelOptions of a residual network with every word, depth and default resolved: what the builder
/// builds.
struct Architecture : LayerOptions {
  StemKind stem = StemKind::kCifar;
  int stem_width = 16;
  BlockKind block = BlockKind::kBasic;
  bool pre_activation = false;
  std::vector<BlockGroup> groups;
  int cardinality = 1;
  ShortcutKind shortcut = ShortcutKind::kProjection;
  bool projection_norm = true;
  float projection_gain = 1.0f;
  int se_reduction = 0;
  float last_gamma = 1.0f;
  float block_dropout = 0.0f;  // between the convolutions of a block
  float head_dropout = 0.0f;   // before the classifier
  float residual_scale = 1.0f;
  float learned_skip = 0.0f, learned_skip_weight = 0.0f;  // share of images; of the loss

  int blocks() const;
};

/// @throws ConfigError naming the key, its value and the values that it takes.
LayerOptions resolve_layers(const ModelOptions& options);

/// The same, for families whose norm is that of pixels over channels: activation = auto is GELU.
LayerOptions resolve_pixel_layers(const ModelOptions& options);

/// The same, for families resnet, preact, wide, resnext and custom.
Architecture resolve_architecture(const ModelOptions& options, Shape input);

/// Whether a network for small images is wanted where a depth stands for two.
StemKind resolve_stem(const ModelOptions& options, Shape input, bool cifar);

/// Probability that training keeps the branch of block `index` (from 0) of `blocks`.
/// Huang et al. 2016, arXiv:1603.09382: 1 - last_drop * (index + 1) / blocks.
float keep_probability(float last_drop, int index, int blocks);

}  // namespace lockstep
