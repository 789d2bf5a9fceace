#include "layers/model_doubts.h"

#include <algorithm>
#include <string_view>

namespace lockstep {

namespace {

constexpr int kLargeImage = 128;    // from here on all pixels are too many for a stem of stride 1
constexpr int kManyPatches = 1024;  // attention holds their square for every head

std::string size_text(const Shape& shape) {
  return std::to_string(shape.height) + " x " + std::to_string(shape.width);
}

bool is_one_of(const std::string& word, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// What may be set besides the stem: depths whose networks are for large images.
std::string or_depths(const std::string& family) {
  if (family == "wide") return "";
  if (family == "densenet") return ", or depth = 121, 161, 169, 201 or 264";
  return ", or depth = 50, 101 or 152 for the ImageNet network";
}

/// What the network reads after its stem, and before the pixels are averaged.
struct Ends {
  Shape after_stem, last;
};

Ends ends_of(const Graph& graph) {
  Ends ends{graph.value(graph.input()).shape, graph.value(graph.input()).shape};
  for (const Op& op : graph.ops()) {
    if (op.name.starts_with("stem.") || op.name.starts_with("embed."))
      ends.after_stem = graph.value(op.output).shape;
    if (op.name == "pool") ends.last = graph.value(op.inputs.front()).shape;
  }
  return ends;
}

void add_patch_doubts(const ModelOptions& options, const Shape& input, const Shape& patches,
                      std::vector<std::string>& doubts) {
  const bool hybrid = !options.hybrid.empty();
  const int count = patches.height * patches.width;
  if (options.patch == 0 && count > kManyPatches)
    doubts.push_back(
        (hybrid ? "model.hybrid makes of " : "model.patch is 4 and cuts ") + size_text(input) +
        (hybrid ? " pixels " : " pixels into ") + std::to_string(count) +
        " patches, whose attention grows with their square; " +
        (hybrid ? "set model.stem = imagenet, more groups or model.patch = 4 (1 if it is meant)"
                : "set model.patch = 16 (4 if it is meant)"));
  if (count == 1 && input.height > 1)
    doubts.push_back(
        (hybrid ? "model.hybrid" : "model.patch = " + std::to_string(options.patch)) +
        " leaves one patch of " + size_text(input) +
        " pixels, and nothing for attention to compare; " +
        (hybrid ? "set model.stem = cifar, or fewer groups" : "set a smaller model.patch"));
}

}  // namespace

std::vector<std::string> model_doubts(const ModelOptions& options, const Graph& graph) {
  std::vector<std::string> doubts;
  const Shape input = graph.value(graph.input()).shape;
  const Ends ends = ends_of(graph);
  const bool has_stem =
      is_one_of(options.family, {"resnet", "preact", "wide", "resnext", "custom", "densenet"});
  const std::string net =
      "model.family = " + options.family + ", depth = " + std::to_string(options.depth);
  if (has_stem && options.stem == "auto" && input.height >= kLargeImage &&
      ends.after_stem.height == input.height)
    doubts.push_back(net + " is a network for small images: its first group works on all " +
                     size_text(input) + " pixels; set model.stem = imagenet" +
                     or_depths(options.family) + " (model.stem = cifar if it is meant)");
  if (has_stem && is_one_of(options.stem, {"imagenet", "resnet_d"}) && ends.last.height == 1 &&
      ends.last.width == 1 && input.height > 1)
    doubts.push_back(
        "model.stem = " + options.stem + " leaves one pixel of " + size_text(input) +
        " to the last group; set model.stem = cifar, or data.height and width to larger images");
  if (options.family == "transformer") add_patch_doubts(options, input, ends.after_stem, doubts);
  return doubts;
}

}  // namespace lockstep
