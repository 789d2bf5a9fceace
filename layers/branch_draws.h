#pragma once
#include <cstdint>

#include "data/random.h"
#include "layers/graph.h"

namespace lockstep {

/// What training draws for whole branches, by Philox: on any rank, in forward, backward and replay the same.
/// `step` counts from 0, as StepContext::step.

/// 1 with probability `keep`, else 0: for all images of the step.
inline float branch_gate(const BranchGate& gate, OpId op, std::uint64_t seed, std::int64_t step) {
  const PhiloxKey key = random_key(seed, RandomUse::kBranchGate);
  const auto bits = philox({0, 0, static_cast<std::uint32_t>(op), static_cast<std::uint32_t>(step)}, key);
  return uniform_float(bits[0]) < gate.keep ? 1.0f : 0.0f;
}

/// Whether the image at `position` of the epoch's order keeps its branch. `key`: of RandomUse::kStochasticDepth.
inline bool keeps_branch(const StochasticDepth& depth, OpId op, const PhiloxKey& key, std::int64_t step,
                         std::int64_t position) {
  const auto bits = philox({0, static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(op),
                            static_cast<std::uint32_t>(step)}, key);
  return uniform_float(bits[0]) < depth.keep;
}

}  // namespace lockstep
