#pragma once
#include <cstddef>
#include <span>
#include <variant>

namespace lockstep {

/// What planning, saving and counting memory go by, instead of an optimizer's type.
struct OptimizerRule {
  const char* name;  // as messages print it
  /// What it keeps for every parameter: f32 of the parameter's shape, 0 at first. Folders of checkpoints have these names.
  std::span<const char* const> slots;

  /// How often a rank holds each parameter: itself, its gradient, its slots.
  constexpr std::size_t copies() const { return 2 + slots.size(); }
};

/// SGD with momentum as PyTorch defines it, g' = g + weight_decay*w:
/// v = momentum*v + g'; w -= learning_rate * (nesterov ? g' + momentum*v : v).
struct Sgd {
  float momentum = 0;
  float weight_decay = 0;  // of parameters that have it: conv and linear weights
  bool nesterov = false;

  static constexpr const char* kSlots[] = {"momentum"};
  static constexpr OptimizerRule rule() { return {.name = "sgd", .slots = kSlots}; }
};

/// An optimizer with its settings; learning rate and clipping come with each step. A new one is a
/// struct here and its update in layers/cpu/update.cpp.
using Optimizer = std::variant<Sgd>;

inline OptimizerRule optimizer_rule(const Optimizer& optimizer) {
  return std::visit([](const auto& settings) { return settings.rule(); }, optimizer);
}

}  // namespace lockstep
