#include "layers/model_keys.h"

#include <algorithm>
#include <type_traits>

#include "data/error.h"

namespace lockstep {

namespace {

std::string value_text(const std::string& value) { return value; }
std::string value_text(bool value) { return value ? "true" : "false"; }
std::string value_text(int value) { return std::to_string(value); }
std::string value_text(float value) { return digits_of(value); }
std::string value_text(const std::vector<int>& values) {
  std::string text;
  for (int value : values) text += (text.empty() ? "" : ",") + std::to_string(value);
  return text;
}

}  // namespace

void fail_key(const std::string& key, const std::string& value, const std::string& takes) {
  throw ConfigError("model." + key + " = " + value + ": " + takes);
}

void require_at_least(const std::string& key, int value, int least) {
  if (value < least)
    fail_key(key, std::to_string(value), "must be at least " + std::to_string(least));
}

std::vector<BlockCount> resolve_groups(const ModelOptions& options, std::vector<int> counts,
                                       std::vector<int> widths) {
  if (!options.counts.empty()) counts = options.counts;
  if (!options.widths.empty()) widths = options.widths;
  if (counts.size() != widths.size())
    throw ConfigError("model.counts has " + std::to_string(counts.size()) +
                      " entries and model.widths " + std::to_string(widths.size()) + ": family " +
                      options.family + " takes one of each per group");
  std::vector<BlockCount> groups;
  for (std::size_t g = 0; g < counts.size(); ++g) {
    require_at_least("counts", counts[g], 1);
    require_at_least("widths", widths[g], 1);
    if (counts[g] > 100000) fail_key("counts", std::to_string(counts[g]), "must be at most 100000");
    if (widths[g] > 1 << 18)
      fail_key("widths", std::to_string(widths[g]), "must be at most 262144");
    groups.push_back({counts[g], widths[g]});
  }
  return groups;
}

int total_blocks(const std::vector<BlockCount>& groups) {
  int blocks = 0;
  for (const BlockCount& group : groups) blocks += group.blocks;
  return blocks;
}

int resolve_mlp_ratio(const ModelOptions& options, int usual) {
  require_at_least("mlp_ratio", options.mlp_ratio, 0);
  if (options.mlp_ratio > 64)
    fail_key("mlp_ratio", std::to_string(options.mlp_ratio), "must be at most 64");
  return options.mlp_ratio > 0 ? options.mlp_ratio : usual;
}

void refuse_other_keys(const ModelOptions& options, const std::vector<std::string_view>& own) {
  static const ModelOptions defaults;
  const auto check = [&](std::string_view key, const auto& value, const auto& usual) {
    if (value == usual || std::find(own.begin(), own.end(), key) != own.end()) return;
    fail_key(std::string(key), value_text(value),
             "means nothing to family " + options.family + "; leave it out");
  };
#define CHECK(key) check(#key, options.key, defaults.key)
  CHECK(depth);
  CHECK(stem);
  CHECK(stem_width);
  CHECK(block);
  CHECK(pre_activation);
  CHECK(widen);
  CHECK(cardinality);
  CHECK(base_width);
  CHECK(shortcut);
  CHECK(projection_norm);
  CHECK(projection_gain);
  CHECK(se_reduction);
  CHECK(last_gamma);
  CHECK(stochastic_depth);
  CHECK(conditional_skip);
  CHECK(learned_skip);
  CHECK(learned_skip_weight);
  CHECK(residual_scale);
  CHECK(counts);
  CHECK(widths);
  CHECK(growth);
  CHECK(compression);
  CHECK(gate_bias);
  CHECK(mlp_ratio);
  CHECK(patch);
  CHECK(layer_scale);
  CHECK(hybrid);
  CHECK(heads);
  CHECK(pre_norm);
  CHECK(skip);
  CHECK(upsample);
  CHECK(residual);
#undef CHECK
}

}  // namespace lockstep
