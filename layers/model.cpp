#include "layers/model.h"

#include <array>
#include <cassert>
#include <utility>

#include "data/error.h"
#include "layers/blocks.h"
#include "layers/convnext.h"
#include "layers/densenet.h"
#include "layers/highway.h"
#include "layers/mlp.h"
#include "layers/model_keys.h"
#include "layers/transformer.h"
#include "layers/unet.h"

namespace lockstep {

namespace {

Graph build_residual(const ModelOptions& options, Shape input, int classes) {
  const Architecture architecture = resolve_architecture(options, input);
  Graph graph(input);
  BlockBuilder build(graph, architecture);
  build.head(build.groups("group", build.stem(graph.input())), classes);
  return graph;
}

Graph densenet(const ModelOptions& options, Shape input, int classes) {
  return build_densenet(resolve_densenet(options, input), input, classes);
}

Graph highway(const ModelOptions& options, Shape input, int classes) {
  return build_highway(resolve_highway(options), input, classes);
}

Graph mlp(const ModelOptions& options, Shape input, int classes) {
  return build_mlp(resolve_mlp(options), input, classes);
}

Graph convnext(const ModelOptions& options, Shape input, int classes) {
  return build_convnext(resolve_convnext(options, input), input, classes);
}

Graph transformer(const ModelOptions& options, Shape input, int classes) {
  return build_transformer(resolve_transformer(options, input), input, classes);
}

Graph unet(const ModelOptions& options, Shape input, int classes) {
  return build_unet(resolve_unet(options), input, classes);
}

using Build = Graph (*)(const ModelOptions&, Shape, int);
constexpr std::array<std::pair<const char*, Build>, 11> kFamilies{{{"resnet", build_residual},
                                                                   {"preact", build_residual},
                                                                   {"wide", build_residual},
                                                                   {"resnext", build_residual},
                                                                   {"custom", build_residual},
                                                                   {"densenet", densenet},
                                                                   {"highway", highway},
                                                                   {"mlp", mlp},
                                                                   {"convnext", convnext},
                                                                   {"transformer", transformer},
                                                                   {"unet", unet}}};

}  // namespace

std::vector<std::string> model_families() {
  std::vector<std::string> names;
  for (const auto& family : kFamilies) names.push_back(family.first);
  return names;
}

std::vector<std::string> model_activations() {
  std::vector<std::string> words{"auto"};
  for (const ActivationRow& row : kActivations)
    if (row.of_models) words.push_back(row.word);
  return words;
}

bool labels_pixels(const ModelOptions& options) { return options.family == "unet"; }

Graph build_model(const ModelOptions& options, Shape input, int classes) {
  if (classes < 2)
    throw ConfigError("classes = " + std::to_string(classes) +
                      ": a classifier needs at least 2; check the labels of the data set");
  return choose("family", options.family, kFamilies)(options, input, classes);
}

ValueId logits_of(const Graph& graph) {
  assert(!graph.ops().empty() && graph.ops().back().output == kNone);
  return graph.ops().back().inputs[0];
}

}  // namespace lockstep
