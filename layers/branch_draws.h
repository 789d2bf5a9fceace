#pragma once
#include <cmath>
#include <cstdint>

#include "data/random.h"
#include "layers/graph.h"

namespace lockstep {

/// What training draws for whole branches, by Philox: on any rank, in forward, backward and replay the same.
/// `step` counts from 0, as StepContext::step.

/// Of an image's branch; position 0 where it is that of all images of the step.
constexpr std::uint32_t branch_bits(OpId op, const PhiloxKey& key, std::int64_t step,
                                    std::int64_t position) {
  return philox({0, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(op),
                 static_cast<std::uint32_t>(step)},
                key)[0];
}

/// 1 with probability `keep`, else 0: for all images of the step.
constexpr float branch_gate(float keep, OpId op, std::uint64_t seed, std::int64_t step) {
  const PhiloxKey key = random_key(seed, RandomUse::kBranchGate);
  return uniform_float(branch_bits(op, key, step, 0)) < keep ? 1.0f : 0.0f;
}

/// Whether the image at `position` of the epoch's order keeps its branch. `key`: of RandomUse::kStochasticDepth.
constexpr bool keeps_branch(float keep, OpId op, const PhiloxKey& key, std::int64_t step,
                            std::int64_t position) {
  return uniform_float(branch_bits(op, key, step, position)) < keep;
}

/// Logistic noise for an ImageGate: with log-odds x, x + noise > 0 has the probability sigmoid(x). `key`: of
/// RandomUse::kImageGate.
inline double gate_noise(OpId op, const PhiloxKey& key, std::int64_t step, std::int64_t position) {
  const std::uint32_t bits = branch_bits(op, key, step, position);
  // In (0, 1): both logarithms are finite.
  const double u = (static_cast<double>(bits >> 8) + 0.5) * 0x1.0p-24;
  return std::log(u) - std::log(1 - u);
}

/// Whether `op` is a gate or stochastic depth that is drawn 0 for all images of a step, those from position `first` of
/// the epoch's order to `last` (not inclusive): what lies behind it makes no difference to the step.
inline bool switched_off(const Op& op, OpId id, std::uint64_t seed, std::int64_t step,
                         std::int64_t first, std::int64_t last) {
  const Draw draw = op.traits().draw;
  if (!draw.may_be_off()) return false;
  if (draw.of == Draw::Of::kStep) return branch_gate(draw.keep, id, seed, step) == 0;
  if (first >= last) return false;
  const PhiloxKey key = random_key(seed, RandomUse::kStochasticDepth);
  for (std::int64_t position = first; position < last; ++position)
    if (keeps_branch(draw.keep, id, key, step, position)) return false;
  return true;
}

}  // namespace lockstep
