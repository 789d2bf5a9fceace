#pragma once
#include "layers/model.h"
#include "tests/golden/golden_file.h"

namespace lockstep {

/// What files of all families say.
inline ModelOptions golden_layers(const GoldenFile& file) {
  ModelOptions options;
  options.norm = file.text("norm");
  options.norm_groups = file.integer("norm_groups");
  options.norm_eps = static_cast<float>(file.number("norm_eps"));
  options.norm_momentum = static_cast<float>(file.number("norm_momentum"));
  options.activation = file.text("activation");
  options.label_smoothing = static_cast<float>(file.number("label_smoothing"));
  return options;
}

inline ModelOptions golden_residual(const GoldenFile& file) {
  ModelOptions options = golden_layers(file);
  options.family = "custom";
  const std::string block = file.text("block");  // basic, preact_basic, ...
  options.pre_activation = block.rfind("preact_", 0) == 0;
  options.block = options.pre_activation ? block.substr(7) : block;
  options.stem = file.text("stem");
  options.counts = file.integers("counts");
  options.widths = file.integers("widths");
  options.widen = file.integer("widen");
  options.cardinality = file.integer("cardinality");
  options.base_width = file.integer("base_width");
  options.shortcut = file.text("shortcut");
  options.se_reduction = file.integer("se_reduction");
  return options;
}

/// The network that a .golden file describes.
inline ModelOptions golden_options(const GoldenFile& file) {
  if (!file.has_setting("family")) return golden_residual(file);
  ModelOptions options = golden_layers(file);
  options.family = file.text("family");
  if (options.family == "densenet") {
    options.depth = file.integer("depth");
    options.block = file.text("block");
    options.growth = file.integer("growth");
    options.compression = static_cast<float>(file.number("compression"));
  }
  if (options.family != "densenet" && options.family != "unet") {
    options.counts = file.integers("counts");
    options.widths = file.integers("widths");
  }
  if (file.has_setting("mlp_ratio")) options.mlp_ratio = file.integer("mlp_ratio");
  if (file.has_setting("patch")) options.patch = file.integer("patch");
  if (options.family == "transformer") {
    options.heads = file.integer("heads");
    options.pre_norm = file.text("pre_norm") == "true";
    if (file.has_setting("hybrid")) {
      options.hybrid = file.integers("hybrid");
      options.stem = file.text("stem");
      options.stem_width = file.integer("stem_width");
      options.block = file.text("block");
      options.shortcut = file.text("shortcut");
    }
  }
  if (options.family == "unet") {
    options.widths = file.integers("widths");
    options.skip = file.text("skip");
    options.upsample = file.text("upsample");
    options.residual = file.has_setting("residual");
  }
  return options;
}

inline Graph golden_graph(const GoldenFile& file) {
  const int image = file.integer("image");
  return build_model(golden_options(file), {file.integer("channels"), image, image},
                     file.integer("classes"));
}

}  // namespace lockstep
