#pragma once

namespace lockstep {

enum class ActivationKind { kRelu, kLeakyRelu, kElu, kGelu, kSigmoid, kHardswish };

/// What an activation's backward reads besides the gradient of its output.
enum class ActivationReads {
  kOutput,             // which tells the slope
  kInput,              // not monotonic: the output does not
  kOutputIfMonotonic,  // by the sign of alpha
};

/// All that is to be said of one activation but its kernels, which
/// layers/cpu/kernels_activation.h lists in the same order.
struct ActivationRow {
  const char* word;  // of the op's kind, and of model.activation
  ActivationKind kind;
  ActivationReads reads;
  double forward_flops, backward_flops;  // an element; see OpCost
  float usual_alpha;                     // 0: it has none
  bool of_models;                        // model.activation takes it
};

/// By kind.
inline constexpr ActivationRow kActivations[] = {
    {"relu", ActivationKind::kRelu, ActivationReads::kOutput, 1, 1, 0.0f, true},
    {"leaky_relu", ActivationKind::kLeakyRelu, ActivationReads::kOutputIfMonotonic, 2, 2, 0.01f,
     true},
    {"elu", ActivationKind::kElu, ActivationReads::kOutput, 4, 4, 1.0f, true},
    {"gelu", ActivationKind::kGelu, ActivationReads::kInput, 5, 10, 0.0f, true},
    {"sigmoid", ActivationKind::kSigmoid, ActivationReads::kOutput, 3, 3, 0.0f, false},
    {"hardswish", ActivationKind::kHardswish, ActivationReads::kInput, 5, 5, 0.0f, true},
};
constexpr int kActivationCount = sizeof kActivations / sizeof kActivations[0];

constexpr bool activations_are_by_kind() {
  for (int i = 0; i < kActivationCount; ++i)
    if (static_cast<int>(kActivations[i].kind) != i) return false;
  return true;
}
static_assert(activations_are_by_kind(),
              "the rows of kActivations are in the order of ActivationKind");

}  // namespace lockstep
