#pragma once
#include <cstddef>
#include <span>
#include <variant>

namespace lockstep {

enum class OptimizerKind { kSgd, kAdamW };

/// The words of optimizer.name, by kind.
inline constexpr const char* kOptimizerWords[] = {"sgd", "adamw"};

constexpr const char* optimizer_word(OptimizerKind kind) {
  return kOptimizerWords[static_cast<std::size_t>(kind)];
}

/// What planning, saving and counting memory go by, instead of an optimizer's type.
struct OptimizerRule {
  OptimizerKind kind;
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
  static constexpr OptimizerRule rule() { return {.kind = OptimizerKind::kSgd, .slots = kSlots}; }
};

/// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) as PyTorch defines it; t counts the updates that the slots have
/// seen, with this one: m = beta1*m + (1-beta1)*g; v = beta2*v + (1-beta2)*g*g; w -= learning_rate * weight_decay*w;
/// w -= learning_rate * m/(1-beta1^t) / (sqrt(v/(1-beta2^t)) + eps).
struct AdamW {
  double beta1 = 0.9, beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // of parameters that have it: conv and linear weights

  static constexpr const char* kSlots[] = {"exp_avg", "exp_avg_sq"};
  static constexpr OptimizerRule rule() { return {.kind = OptimizerKind::kAdamW, .slots = kSlots}; }
};

/// An optimizer with its settings; learning rate and clipping come with each step. A new one is a
/// struct here and its update in layers/cpu/update.cpp.
using Optimizer = std::variant<Sgd, AdamW>;

inline OptimizerRule optimizer_rule(const Optimizer& optimizer) {
  return std::visit([](const auto& settings) { return settings.rule(); }, optimizer);
}

}  // namespace lockstep
