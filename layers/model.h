#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// [model] of a job file: which residual network. Defaults give ResNet-20 for CIFAR.
struct ModelOptions {
  /// "resnet" (CIFAR 6n+2, or ImageNet 18/34/50/101/152), "preact" (6n+2 basic or 9n+2 bottleneck),
  /// "wide" (WRN-d-k, 6n+4), "resnext" (CIFAR 9n+2 or ImageNet 50/101/152), "custom" (counts, widths).
  std::string family = "resnet";
  int depth = 20;
  std::string stem = "auto";      // auto | cifar (3x3) | imagenet (7x7/2 + max pool) | resnet_d (three 3x3 + max pool, pooled shortcuts)
  std::string block = "auto";     // auto | basic | bottleneck
  int widen = 1;                  // wide: k
  int cardinality = 1;            // groups of the 3x3 convolution (ResNeXt: 32; CIFAR: 8)
  int base_width = 64;            // ResNeXt: width of one group at 64 channels (4 in 32x4d)
  std::string shortcut = "B";     // A (pad) | B (projection where shapes change) | C (projection everywhere)
  int se_reduction = 0;           // 0: no squeeze-excitation; usual 16
  std::string norm = "batch";     // batch | group | layer
  int norm_groups = 32;           // norm = group; fewer where there are fewer channels
  float norm_momentum = 0.1f;
  float norm_eps = 1e-5f;
  float last_gamma = 1.0f;        // gamma of the last norm of every branch: 0, 0.1, 1
  float dropout = 0.0f;           // wide: between the convolutions; others: before the classifier
  float stochastic_depth = 0.0f;  // drop probability of the last block, growing linearly from 0
  std::string residual_scale = "1";      // a number, or "1/L" (L blocks)
  std::string activation = "relu";       // relu | leaky_relu | elu | gelu
  float activation_alpha = 0.01f;
  float label_smoothing = 0.0f;
  std::vector<int> counts;        // custom: blocks per group
  std::vector<int> widths;        // custom: channels per group (of the 3x3 convolution)
};

/// Builds the training graph: input images -> ... -> logits (op "fc") -> loss (op "loss").
/// @throws ConfigError for an unknown word or an impossible depth (naming the valid ones),
///         ShapeError where shapes do not fit.
Graph build_model(const ModelOptions& options, Shape input, int classes);

/// The value that holds the logits.
ValueId logits_of(const Graph& graph);

}  // namespace lockstep
