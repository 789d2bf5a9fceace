#include "layers/model_depth.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "data/error.h"

namespace lockstep {

namespace {

struct ImagenetDepth {
  int depth;
  bool bottleneck;
  std::vector<int> counts;
};

const std::vector<ImagenetDepth>& imagenet_depths() {
  static const std::vector<ImagenetDepth> table{{18, false, {2, 2, 2, 2}},
                                                {34, false, {3, 4, 6, 3}},
                                                {50, true, {3, 4, 6, 3}},
                                                {101, true, {3, 4, 23, 3}},
                                                {152, true, {3, 8, 36, 3}}};
  return table;
}

/// "6n+2 (..., 14, 20, 26, ...)": the three valid depths around `depth`, which may be the largest
/// number there is.
std::string progression(std::int64_t step, std::int64_t offset, std::int64_t depth) {
  const std::int64_t middle = std::max<std::int64_t>(2, (depth - offset + step / 2) / step);
  std::string text = std::to_string(step) + "n+" + std::to_string(offset);
  text += middle > 2 ? " (..., " : " (";
  for (std::int64_t n = middle - 1; n <= middle + 1; ++n)
    text += std::to_string(step * n + offset) + ", ";
  return text + "...)";
}

/// Three groups of n blocks.
std::optional<BlockPattern> cifar_pattern(int depth, int step, int offset, bool bottleneck) {
  const int n = (depth - offset) / step;
  if (n < 1 || n * step + offset != depth) return std::nullopt;
  return BlockPattern{true, bottleneck, {n, n, n}};
}

std::optional<BlockPattern> imagenet_pattern(int depth) {
  for (const ImagenetDepth& d : imagenet_depths())
    if (d.depth == depth) return BlockPattern{false, d.bottleneck, d.counts};
  return std::nullopt;
}

[[noreturn]] void fail(const ModelOptions& options, const std::string& takes) {
  throw ConfigError("model.depth = " + std::to_string(options.depth) + ": family " +
                    options.family + " takes " + takes);
}

[[noreturn]] void fail_block(const ModelOptions& options, const std::string& has) {
  throw ConfigError("model.block = " + options.block + ": family " + options.family + " of depth " +
                    std::to_string(options.depth) + " has " + has +
                    "; leave block = auto, or use family = custom");
}

/// Depths that stand for two networks: small images, or a stem for them, ask for the CIFAR one.
bool wants_cifar(const ModelOptions& options, Shape input) {
  return options.stem == "cifar" || (options.stem == "auto" && input.height < kSmallImage);
}

BlockPattern resnet(const ModelOptions& options, Shape input) {
  const int depth = options.depth;
  const auto imagenet = imagenet_pattern(depth);
  const auto basic = cifar_pattern(depth, 6, 2, false);
  if (options.block == "bottleneck") {
    if (imagenet && imagenet->bottleneck) return *imagenet;
    if (imagenet) fail_block(options, "basic blocks");
    if (const auto bottleneck = cifar_pattern(depth, 9, 2, true)) return *bottleneck;
    fail(options, "with block = bottleneck " + progression(9, 2, depth) + " or 50, 101, 152");
  }
  if (imagenet && basic)
    return options.block == "basic" || wants_cifar(options, input) ? *basic : *imagenet;
  if (imagenet && imagenet->bottleneck && options.block == "basic")
    fail_block(options, "bottleneck blocks");
  if (imagenet) return *imagenet;
  if (basic) return *basic;
  fail(options, progression(6, 2, depth) + " or 18, 34, 50, 101, 152" +
                    (cifar_pattern(depth, 9, 2, true)
                         ? "; " + std::to_string(depth) + " is 9n+2: set block = bottleneck"
                         : ""));
}

BlockPattern preact(const ModelOptions& options, Shape input) {
  const int depth = options.depth;
  // the paper's 110 is basic, its 164 bottleneck; both are both
  constexpr int kBottleneckFrom = 164;
  const auto basic = cifar_pattern(depth, 6, 2, false);
  const auto bottleneck = cifar_pattern(depth, 9, 2, true);
  const auto imagenet = imagenet_pattern(depth);
  const bool is_imagenet = imagenet && (options.block == "auto" ||
                                        (options.block == "bottleneck") == imagenet->bottleneck);
  const bool bottlenecks =
      options.block == "bottleneck" ||
      (options.block == "auto" && bottleneck && (!basic || depth >= kBottleneckFrom));
  const auto& cifar = bottlenecks ? bottleneck : basic;
  if (is_imagenet && !(cifar && wants_cifar(options, input))) return *imagenet;
  if (cifar) return *cifar;
  fail(options, progression(6, 2, depth) + " with basic blocks or " + progression(9, 2, depth) +
                    " with bottlenecks, or 18, 34, 50, 101, 152");
}

BlockPattern wide(const ModelOptions& options) {
  if (options.block == "bottleneck") fail_block(options, "basic blocks");
  if (const auto basic = cifar_pattern(options.depth, 6, 4, false)) return *basic;
  fail(options, progression(6, 4, options.depth));
}

BlockPattern resnext(const ModelOptions& options, Shape input) {
  if (options.block == "basic") fail_block(options, "bottleneck blocks");
  const auto imagenet = imagenet_pattern(options.depth);
  const auto cifar = cifar_pattern(options.depth, 9, 2, true);
  const bool is_imagenet = imagenet && imagenet->bottleneck;
  if (cifar && (!is_imagenet || wants_cifar(options, input))) return *cifar;
  if (is_imagenet) return *imagenet;
  fail(options, progression(9, 2, options.depth) + " or 50, 101, 152");
}

}  // namespace

BlockPattern blocks_of_depth(const ModelOptions& options, Shape input) {
  if (options.family == "resnet") return resnet(options, input);
  if (options.family == "preact") return preact(options, input);
  if (options.family == "wide") return wide(options);
  return resnext(options, input);
}

}  // namespace lockstep
