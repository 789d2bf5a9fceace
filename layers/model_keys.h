#pragma once
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/number_text.h"
#include "layers/model.h"

namespace lockstep {

// What reading the keys of [model] needs: the errors, and the words that a key takes.

/// @throws ConfigError "model.KEY = VALUE: TAKES".
[[noreturn]] void fail_key(const std::string& key, const std::string& value,
                           const std::string& takes);
void require_at_least(const std::string& key, int value, int least);

/// Blocks of one width.
struct BlockCount {
  int blocks, width;
};

/// `counts` and `widths` of a job, or else these.  @throws ConfigError unless they fit together.
std::vector<BlockCount> resolve_groups(const ModelOptions& options, std::vector<int> counts,
                                       std::vector<int> widths);
int total_blocks(const std::vector<BlockCount>& groups);

/// model.mlp_ratio, or else `usual`.
int resolve_mlp_ratio(const ModelOptions& options, int usual);

/// The meaning of a word, or an error that lists the words.
template <class Choices>
auto choose(const std::string& key, const std::string& word, const Choices& choices) {
  std::string valid;
  for (const auto& [name, meaning] : choices) {
    if (word == name) return meaning;
    valid += (valid.empty() ? "" : ", ") + std::string(name);
  }
  fail_key(key, word, "takes " + valid);
}

template <class T>
using Choices2 = std::array<std::pair<const char*, T>, 2>;
template <class T>
using Choices3 = std::array<std::pair<const char*, T>, 3>;

/// Refuses keys that differ from their defaults and mean nothing to options.family: all but `own`
/// and those that every family has (norms, activation, dropout, label_smoothing).
void refuse_other_keys(const ModelOptions& options, const std::vector<std::string_view>& own);

}  // namespace lockstep
