#include "layers/model_architecture.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "layers/model_depth.h"
#include "layers/model_keys.h"

namespace lockstep {

namespace {

void require_probability(const std::string& key, float value) {
  if (!(value >= 0.0f && value < 1.0f))
    fail_key(key, digits_of(value), "must be at least 0 and below 1");
}

float parse_residual_scale(const std::string& word, int blocks) {
  if (word == "1/L") return 1.0f / static_cast<float>(blocks);
  float value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end || !std::isfinite(value) || value <= 0)
    fail_key("residual_scale", word, "takes a number above 0, or 1/L (L blocks)");
  return value;
}

Activation parse_activation(const ModelOptions& options, ActivationKind usual) {
  std::vector<std::pair<const char*, ActivationKind>> kinds{{"auto", usual}};
  std::string with_alpha;
  for (const ActivationRow& row : kActivations) {
    if (!row.of_models) continue;
    kinds.emplace_back(row.word, row.kind);
    if (row.usual_alpha != 0)
      with_alpha += (with_alpha.empty() ? "" : " or ") + std::string(row.word);
  }
  Activation activation{choose("activation", options.activation, kinds), options.activation_alpha};
  const bool has_alpha = activation.row().usual_alpha != 0;
  if (options.activation_alpha < 0 || !std::isfinite(options.activation_alpha))
    fail_key("activation_alpha", digits_of(options.activation_alpha),
             "must be a number of at least 0");
  if (!has_alpha && options.activation_alpha != 0)
    fail_key("activation_alpha", digits_of(options.activation_alpha),
             options.activation + " has none; use activation = " + with_alpha);
  if (activation.alpha == 0) activation.alpha = activation.row().usual_alpha;
  return activation;
}

/// Families: the pattern of blocks, before widths. `planes` are the widths before cardinality.
struct Pattern {
  BlockKind block = BlockKind::kBasic;
  bool pre_activation = false;
  bool cifar = true;  // a network for small images: three groups from 16 channels (ResNeXt: 64)
  std::vector<int> counts = {}, planes = {};
  int stem_width = 16;
};

Pattern custom_pattern(const ModelOptions& options) {
  if (options.counts.empty() || options.counts.size() != options.widths.size())
    throw ConfigError("model.counts has " + std::to_string(options.counts.size()) +
                      " entries and model.widths " + std::to_string(options.widths.size()) +
                      ": family custom takes one of each per group, e.g. counts = 3,3,3 and "
                      "widths = 16,32,64");
  for (int count : options.counts) require_at_least("counts", count, 1);
  for (int width : options.widths) require_at_least("widths", width, 1);
  return {.block = options.block == "bottleneck" ? BlockKind::kBottleneck : BlockKind::kBasic,
          .pre_activation = options.pre_activation,
          .cifar = false,
          .counts = options.counts,
          .planes = options.widths};
}

Pattern published_pattern(const ModelOptions& options, Shape input) {
  if (!options.counts.empty() || !options.widths.empty())
    throw ConfigError("model.counts and model.widths belong to family custom, not to " +
                      options.family + "; remove them, or use family = custom");
  const BlockPattern blocks = blocks_of_depth(options, input);
  const bool wide_stem = !blocks.cifar || options.family == "resnext";
  Pattern pattern{.block = blocks.bottleneck ? BlockKind::kBottleneck : BlockKind::kBasic,
                  .pre_activation = options.pre_activation || options.family == "preact" ||
                                    options.family == "wide",
                  .cifar = blocks.cifar,
                  .counts = blocks.counts,
                  .stem_width = wide_stem ? 64 : 16};
  for (std::size_t g = 0; g < blocks.counts.size(); ++g)
    pattern.planes.push_back(pattern.stem_width << g);
  return pattern;
}

// Beyond these a job is a slip of the keyboard: it would fill the memory before any shape is
// checked.
constexpr std::int64_t kMostChannels = 1 << 20;
constexpr std::int64_t kMostBlocks = 100000;

/// Channels of a 3x3 convolution in a group of `planes` channels.
std::int64_t width_of(std::int64_t planes, std::int64_t base_width, std::int64_t cardinality) {
  if (base_width == 0) return planes;
  // Bounded first, so that the product stays within 64 bits.
  return std::min(planes, kMostChannels + 1) * base_width / 64 *
         std::min(cardinality, kMostChannels);
}

void check_size(const ModelOptions& options, const Pattern& pattern) {
  std::int64_t blocks = 0;
  for (int count : pattern.counts) blocks += count;
  if (blocks <= kMostBlocks) return;
  const std::string takes = std::to_string(blocks) + " blocks are more than the " +
                            std::to_string(kMostBlocks) + " that a model may have";
  if (options.family == "custom") throw ConfigError("model.counts: " + takes);
  fail_key("depth", std::to_string(options.depth), takes);
}

/// Widths of the 3x3 convolutions and of what leaves a block.
/// ResNeXt's 32x4d: 64 channels become cardinality * 4, and the block still gives 4 * 64.
void add_groups(const ModelOptions& options, const Pattern& pattern, Architecture& a) {
  const bool resnext = options.family == "resnext";
  const bool bottleneck = a.block == BlockKind::kBottleneck;
  a.cardinality = options.cardinality > 0 ? options.cardinality
                  : resnext               ? (pattern.cifar ? 8 : 32)
                                          : 1;
  const int base_width = options.base_width > 0 ? options.base_width
                         : resnext              ? (pattern.cifar ? 64 : 4)
                                                : 0;
  const std::string bottleneck_only = "only bottleneck blocks have it; use block = bottleneck";
  if (!bottleneck && a.cardinality > 1)
    fail_key("cardinality", std::to_string(a.cardinality), bottleneck_only);
  if (!bottleneck && base_width > 0)
    fail_key("base_width", std::to_string(base_width), bottleneck_only);
  for (std::size_t g = 0; g < pattern.counts.size(); ++g) {
    const std::int64_t planes = std::int64_t{pattern.planes[g]} * options.widen;
    const std::int64_t width = width_of(planes, base_width, a.cardinality);
    const std::string group = "group" + std::to_string(g + 1);
    if (planes > kMostChannels || width > kMostChannels)
      fail_key("widen", std::to_string(options.widen),
               group + " would have more than " + std::to_string(kMostChannels) +
                   " channels; make widen, widths, cardinality or base_width smaller");
    if (width < 1 || width % a.cardinality != 0)
      fail_key("cardinality", std::to_string(a.cardinality),
               "does not divide the " + std::to_string(width) + " channels of " + group +
                   "; change it, widths or base_width");
    a.groups.push_back({.blocks = pattern.counts[g],
                        .width = static_cast<int>(width),
                        .out_channels = static_cast<int>(bottleneck ? 4 * planes : planes),
                        .stride = g == 0 ? 1 : 2});
  }
}

void check_numbers(const ModelOptions& options) {
  require_at_least("widen", options.widen, 1);
  require_at_least("stem_width", options.stem_width, 0);
  if (options.stem_width > kMostChannels)
    fail_key("stem_width", std::to_string(options.stem_width),
             "must be at most " + std::to_string(kMostChannels));
  require_at_least("cardinality", options.cardinality, 0);
  require_at_least("base_width", options.base_width, 0);
  require_at_least("se_reduction", options.se_reduction, 0);
  require_at_least("norm_groups", options.norm_groups, 1);
  require_probability("dropout", options.dropout);
  require_probability("stochastic_depth", options.stochastic_depth);
  require_probability("conditional_skip", options.conditional_skip);
  require_probability("learned_skip", options.learned_skip);
  require_probability("label_smoothing", options.label_smoothing);
  if (!(options.norm_momentum > 0 && options.norm_momentum <= 1))
    fail_key("norm_momentum", digits_of(options.norm_momentum), "must be above 0 and at most 1");
  if (!(options.norm_eps > 0 && std::isfinite(options.norm_eps)))
    fail_key("norm_eps", digits_of(options.norm_eps), "must be above 0");
  if (!std::isfinite(options.last_gamma))
    fail_key("last_gamma", digits_of(options.last_gamma), "takes a number: 0, 0.1 or 1");
}

void check_words(const ModelOptions& options) {
  choose("block", options.block,
         Choices3<bool>{{{"auto", true}, {"basic", true}, {"bottleneck", true}}});
}

}  // namespace

StemKind resolve_stem(const ModelOptions& options, Shape input, bool cifar) {
  if (options.stem == "auto")
    return cifar || input.height < kSmallImage ? StemKind::kCifar : StemKind::kImagenet;
  // "auto" is listed for the error's sake.
  const std::array<std::pair<const char*, StemKind>, 4> stems{{{"auto", StemKind::kCifar},
                                                               {"cifar", StemKind::kCifar},
                                                               {"imagenet", StemKind::kImagenet},
                                                               {"resnet_d", StemKind::kResnetD}}};
  return choose("stem", options.stem, stems);
}

namespace {

LayerOptions resolve_with(const ModelOptions& options, NormKind norm, ActivationKind activation) {
  check_numbers(options);
  LayerOptions layers;
  layers.norm = norm;
  layers.norm_groups = options.norm_groups;
  layers.norm_momentum = options.norm_momentum;
  layers.norm_eps = options.norm_eps;
  layers.activation = parse_activation(options, activation);
  layers.label_smoothing = options.label_smoothing;
  layers.stochastic_depth = options.stochastic_depth;
  layers.conditional_skip = options.conditional_skip;
  return layers;
}

void set_projection(const ModelOptions& options, Architecture& a) {
  a.projection_norm = options.projection_norm && !a.pre_activation;
  a.projection_gain = options.projection_gain;
  const bool projects =
      a.shortcut == ShortcutKind::kProjection || a.shortcut == ShortcutKind::kProjectionEverywhere;
  if (!(options.projection_gain > 0 && std::isfinite(options.projection_gain)))
    fail_key("projection_gain", digits_of(options.projection_gain), "must be a number above 0");
  if (!projects && options.projection_gain != 1.0f)
    fail_key("projection_gain", digits_of(options.projection_gain),
             "only shortcut = B or C projects; leave it out");
  if (!options.projection_norm && (!projects || a.pre_activation))
    fail_key("projection_norm", "false",
             a.pre_activation ? "projections of a pre-activation network have no norm; leave it out"
                              : "only shortcut = B or C projects; leave it out");
}

/// What acts on a branch beside its shortcut would cut a plain net in two, or scale it away.
void refuse_branch_keys(const ModelOptions& options) {
  const auto refuse = [](const char* key, const std::string& value) {
    fail_key(key, value,
             "shortcut = none leaves no sum whose branch it could change; leave it out");
  };
  if (options.stochastic_depth > 0) refuse("stochastic_depth", digits_of(options.stochastic_depth));
  if (options.conditional_skip > 0) refuse("conditional_skip", digits_of(options.conditional_skip));
  if (options.learned_skip > 0) refuse("learned_skip", digits_of(options.learned_skip));
  if (options.residual_scale != "1") refuse("residual_scale", options.residual_scale);
  if (options.last_gamma != 1.0f) refuse("last_gamma", digits_of(options.last_gamma));
}

/// Gates that are learned are the only ones of their branches: those that are drawn would hide from
/// them what the branch is worth to an image.
void set_learned_skip(const ModelOptions& options, Architecture& a) {
  const float skip = options.learned_skip, weight = options.learned_skip_weight;
  const auto refuse = [&](const std::string& key, float value) {
    if (value > 0)
      fail_key("learned_skip", digits_of(skip),
               "not together with " + key + " = " + digits_of(value) +
                   ", which draws what a gate is to learn; leave one of them out");
  };
  if (!(weight > 0 && std::isfinite(weight)))
    fail_key("learned_skip_weight", digits_of(weight), "must be a number above 0");
  if (skip > 0) {
    refuse("conditional_skip", options.conditional_skip);
    refuse("stochastic_depth", options.stochastic_depth);
  } else if (weight != ModelOptions{}.learned_skip_weight) {
    fail_key("learned_skip_weight", digits_of(weight), "means nothing without learned_skip");
  }
  a.learned_skip = skip;
  a.learned_skip_weight = weight;
}

}  // namespace

LayerOptions resolve_layers(const ModelOptions& options) {
  const std::array<std::pair<const char*, NormKind>, 4> norms{{{"auto", NormKind::kBatch},
                                                               {"batch", NormKind::kBatch},
                                                               {"group", NormKind::kGroup},
                                                               {"layer", NormKind::kLayer}}};
  return resolve_with(options, choose("norm", options.norm, norms), ActivationKind::kRelu);
}

LayerOptions resolve_pixel_layers(const ModelOptions& options) {
  if (options.norm != "auto" && options.norm != "layer")
    fail_key("norm", options.norm, "family " + options.family + " has layer norms; leave it out");
  return resolve_with(options, NormKind::kLayer, ActivationKind::kGelu);
}

Architecture resolve_architecture(const ModelOptions& options, Shape input) {
  refuse_other_keys(options, {"depth",
                              "stem",
                              "stem_width",
                              "block",
                              "pre_activation",
                              "widen",
                              "cardinality",
                              "base_width",
                              "shortcut",
                              "projection_norm",
                              "projection_gain",
                              "se_reduction",
                              "last_gamma",
                              "stochastic_depth",
                              "conditional_skip",
                              "learned_skip",
                              "learned_skip_weight",
                              "residual_scale",
                              "counts",
                              "widths"});
  check_words(options);
  Architecture a{resolve_layers(options)};
  const Pattern pattern =
      options.family == "custom" ? custom_pattern(options) : published_pattern(options, input);
  check_size(options, pattern);
  a.block = pattern.block;
  a.pre_activation = pattern.pre_activation;
  a.stem = resolve_stem(options, input, pattern.cifar);
  add_groups(options, pattern, a);
  const int own_stem_width =
      options.family == "custom" ? pattern.planes[0] * options.widen : pattern.stem_width;
  a.stem_width = options.stem_width > 0 ? options.stem_width : own_stem_width;
  a.shortcut = choose("shortcut", options.shortcut,
                      std::array<std::pair<const char*, ShortcutKind>, 4>{
                          {{"A", ShortcutKind::kPad},
                           {"B", ShortcutKind::kProjection},
                           {"C", ShortcutKind::kProjectionEverywhere},
                           {"none", ShortcutKind::kPlain}}});
  if (a.shortcut == ShortcutKind::kPlain) refuse_branch_keys(options);
  set_projection(options, a);
  a.se_reduction = options.se_reduction;
  a.last_gamma = options.last_gamma;
  if (a.pre_activation && a.last_gamma != 1.0f)
    fail_key("last_gamma", digits_of(a.last_gamma),
             "a pre-activation branch does not end with a norm; use residual_scale");
  (options.family == "wide" ? a.block_dropout : a.head_dropout) = options.dropout;
  a.residual_scale = parse_residual_scale(options.residual_scale, a.blocks());
  set_learned_skip(options, a);
  return a;
}

int Architecture::blocks() const {
  int n = 0;
  for (const BlockGroup& group : groups) n += group.blocks;
  return n;
}

float keep_probability(float last_drop, int index, int blocks) {
  return 1.0f - last_drop * static_cast<float>(index + 1) / static_cast<float>(blocks);
}

}  // namespace lockstep
