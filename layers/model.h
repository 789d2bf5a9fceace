#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// [model] of a job file: which network. Defaults give ResNet-20 for CIFAR.
///
/// family and depth:
///   resnet   6n+2 (CIFAR: 20, 32, 44, 56, 110, 1202; basic blocks), 18, 34, 50, 101, 152
///   (ImageNet), or
///            with block = bottleneck 9n+2 (CIFAR: 164).  He et al. 2015, arXiv:1512.03385.
///            50 and 152 are also 6n+2: with stem = cifar (auto: image height below 64) they are
///            CIFAR networks, else the ImageNet ones; block = basic or bottleneck settles it by
///            hand.
///   preact   6n+2 basic (20, 110) or 9n+2 bottleneck (164, 1001), pre-activation.  He et al. 2016,
///            arXiv:1603.05027. Depths that are both are basic below 164, bottleneck from there. Or 18, 34,
///            50, 101, 152 (ImageNet); 50, 101 and 152 are both: decided by the stem as above.
///   wide     6n+4: WRN-depth-widen.  Zagoruyko & Komodakis 2016, arXiv:1605.07146.
///   resnext  9n+2 (CIFAR: 29) or 50, 101, 152 (ImageNet).  Xie et al. 2017, arXiv:1611.05431. 101
///   is
///            both: decided by the stem as above.
///   custom   counts and widths, one entry per group; depth is not used.
///   densenet 3n+4 (CIFAR: 40, 100) with basic layers, 6n+4 with block = bottleneck; or 121, 161,
///            169, 201, 264 (ImageNet).  Huang et al. 2017, arXiv:1608.06993. DenseNet-BC is
///            block = bottleneck with compression = 0.5, as the ImageNet ones are.
///   highway  counts and widths, one entry per group (3,3,3 and 16,32,64): blocks whose gate carries or
///            transforms every element.  Srivastava et al. 2015, arXiv:1505.00387.
///   mlp      counts and widths, one entry per group (8 and 256): residual blocks of two linear
///            layers on the flattened image.
///   convnext counts and widths, one entry per group (3,3,9,3 and 96,192,384,768): depthwise 7x7, layer
///            norm, 1x1, GELU, 1x1, layer scale.  Liu et al. 2022, arXiv:2201.03545.
///   transformer  one count and one width (6 and 192): an encoder on patches, `pre_norm` or not.
///            Dosovitskiy et al. 2021, arXiv:2010.11929. With `hybrid` on the pixels of a residual network.
///   unet     widths: channels per level (64,128,256,512,1024), with `skip`, `upsample` and `residual`;
///            classes for every pixel.  Ronneberger et al. 2015, arXiv:1505.04597.
/// A key that means nothing to the family is refused.
struct ModelOptions {
  std::string family = "resnet";
  int depth = 20;
  /// cifar (3x3) | imagenet (7x7/2 + max pool) | resnet_d (three 3x3 + max pool, pooled shortcuts;
  /// He et al. 2019, arXiv:1812.01187) | auto: cifar for CIFAR networks and for images below 64
  /// pixels of height, else imagenet. Pre-activation networks leave the stem's last norm to their
  /// first block.
  std::string stem = "auto";
  int stem_width = 0;  // channels of the stem; 0: the family's own (16 or 64; custom: group1's)
  std::string block = "auto";   // auto | basic | bottleneck (1x1, 3x3, 1x1 to four times the width)
  bool pre_activation = false;  // always so in preact and wide
  int widen = 1;                // k: factor of every group's width, not of the stem's
  int cardinality = 0;  // groups of a bottleneck's 3x3; 0: 1, resnext 32 (ImageNet) or 8 (CIFAR)
  int base_width = 0;   // width of one of them where the group has 64 channels: 4 in 32x4d;
                        // 0: together as wide as the group; resnext 4 (ImageNet), 64 (CIFAR)
  /// A (pad) | B (project where shapes change) | C (project everywhere) | none: a plain net, the
  /// same layers without sums (He et al. 2015, section 4.1)
  std::string shortcut = "B";
  bool projection_norm = true;   // a norm behind projections; pre-activation networks have none
  float projection_gain = 1.0f;  // factor of what projections give
  int se_reduction = 0;          // 0: no squeeze-excitation; usual 16
  std::string norm = "auto";     // batch | group | layer; auto: batch, of pixels' norms layer
  int norm_groups = 32;  // norm = group; where they do not divide the channels: what divides both
  float norm_momentum = 0.1f;
  float norm_eps = 1e-5f;
  float last_gamma = 1.0f;        // gamma of the last norm of every branch: 0, 0.1, 1
  float dropout = 0.0f;           // wide: between the convolutions; others: before the classifier
  float stochastic_depth = 0.0f;  // p: block l of L drops an image with probability p*l/L
  float conditional_skip = 0.0f;  // p: all images of a step skip block l with probability p*l/L
  /// Share of the images that skip a block by a gate that learns which ones, one for every block and
  /// image (ConvNet-AIG: Veit & Belongie 2018, arXiv:1711.11503); 0: no gates. The weight is that of
  /// the loss that keeps the share.
  float learned_skip = 0.0f;
  float learned_skip_weight = 0.1f;
  std::string residual_scale = "1";  // factor of every branch: a number, or "1/L" (L blocks)
  std::string activation = "auto";   // layers/ops/activations.h; auto: relu or gelu
  float activation_alpha = 0.0f;     // 0: the usual (leaky_relu 0.01, elu 1)
  float label_smoothing = 0.0f;
  std::vector<int> counts;  // blocks per group; of custom, highway, mlp
  std::vector<int> widths;  // channels per group (custom: of the 3x3 convolution)
  int growth = 0;           // densenet: channels that a layer adds; 0: 12 (CIFAR), 32 (48 in 161)
  std::string skip = "concat";          // unet: concat | add
  std::string upsample = "transposed";  // unet: transposed (2x2/2 convolution) | bilinear
  bool residual = false;  // unet: the two convolutions of a level are a residual block
  float gate_bias = -2;   // highway: where gates start; below 0 they carry first
  int mlp_ratio = 0;  // features inside a block / outside; 0: 1 (mlp), 4 (convnext, transformer)
  int patch = 0;      // convnext, transformer: side of the first patches; 0: 4, small images 2;
                      // of a hybrid 1
  float layer_scale = 1e-6f;  // convnext: where it starts
  // transformer: blocks of every group of a ResNet before the patches; empty: none
  std::vector<int> hybrid;
  int heads = 0;          // transformer; 0: one of 32 features
  bool pre_norm = true;   // transformer: else norms after every sum
  float compression = 0;  // densenet: part of the channels that a transition keeps; 0: the family's
};

/// The words that ModelOptions::family takes.
std::vector<std::string> model_families();

/// The words that ModelOptions::activation takes.
std::vector<std::string> model_activations();

/// Whether a family's networks want a label for every pixel.
bool labels_pixels(const ModelOptions& options);

/// Builds the training graph: input images -> ... -> logits (op "fc") -> loss (op "loss").
/// Ops are named stem.conv, group1.block0.conv1, group1.block0.shortcut.conv, ... : groups count
/// from 1, blocks from 0.
/// @throws ConfigError for an unknown word or an impossible depth (naming the valid ones),
///         ShapeError where shapes do not fit.
Graph build_model(const ModelOptions& options, Shape input, int classes);

/// The value that holds the logits: what the loss reads.
ValueId logits_of(const Graph& graph);

}  // namespace lockstep
