#include "layers/model_keys.h"

#include <algorithm>
#include <charconv>
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

std::string digits_of(float value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return std::string(digits.data(), end);
}

void refuse_other_keys(const ModelOptions& options, std::initializer_list<std::string_view> own) {
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
  CHECK(se_reduction);
  CHECK(last_gamma);
  CHECK(stochastic_depth);
  CHECK(residual_scale);
  CHECK(counts);
  CHECK(widths);
  CHECK(growth);
  CHECK(compression);
  CHECK(skip);
  CHECK(upsample);
#undef CHECK
}

}  // namespace lockstep
