#pragma once
#include <optional>
#include <vector>

#include "layers/graph.h"

namespace lockstep {

using BufferId = int;

/// What one entry of a plan computes. The op's attributes and the kind together select the kernel.
enum class CallKind {
  kForward,          // src... -> dst (for a norm: normalize with scale and shift, see kNormAffine)
  kBackwardData,     // diff_dst... -> diff_src (for a norm: needs kFinishBackward first)
  kBackwardWeights,  // src, diff_dst -> lane_gradient (a copy per lane)
  kFoldGradient,     // lane_gradient -> gradient (+=), lanes added in their order
  kPackWeights,      // weights -> packed (the layout that the primitive wants)
  kPackWeightsBackward,  // the same for the data gradient
  kStatistics,           // batch norm: src -> lane_sums
  kCombineStatistics,    // lane_sums -> sums (this op's part of the message), lanes in their order
  kFinishStatistics,     // sums -> scale_shift, saved mean and 1/std; updates running statistics
  kRunningStatistics,    // evaluation: running statistics -> scale_shift
  kBackwardSums,         // batch norm: diff_dst [+ diff_dst2], dst (mask), src -> masked, lane_sums
  kCombineBackward,      // lane_sums -> sums
  kFinishBackward,       // sums -> coefficients of the data gradient; gradients of gamma and beta
  kSum,                  // diff_dst + diff_dst2 -> diff_src: a value's gradient from two consumers
  kCombineLoss,          // lane_sums -> sums: [loss, top-1 correct, top-5 correct, images]
  kGradientNorm,         // gradients -> partial sums of squares
  kFinishGradientNorm,   // partial sums -> norm, clipping factor
  kUpdate,               // optimizer: gradients, slots -> parameters
};

/// The part that a buffer plays in a call.
enum class Role {
  kSrc,
  kSrc2,
  kSrc3,
  kDst,
  kResidual,
  kDiffDst,
  kDiffDst2,
  kDiffSrc,
  kDiffSrc2,
  kDiffSrc3,
  kMasked,
  kWorkspace,
  kWeights,
  kBias,
  kPacked,
  kLaneGradient,
  kLaneBiasGradient,
  kGradient,
  kBiasGradient,
  kLaneSums,
  kSums,
  kAffine,
  kCoefficients,
  kRunning,
  kSlots,  // all of the optimizer's, one after the other
  kLabels,
};

/// Elements of one image are ordered [H,W,C] (kNhwc) or [C/b][H,W][b] with b = 8 or 16 (kBlocked).
/// Vectors ([C,1,1]) are the same in all of them.
enum class LayoutKind { kNhwc, kBlocked8, kBlocked16 };

/// How the elements of a value and of its gradient are stored; all arithmetic is in f32 or wider.
enum class Storage { kF32, kBf16 };

struct Operand {
  Role role;
  BufferId buffer;
};

/// One entry of a plan before it is bound to memory.
struct Call {
  CallKind kind;
  OpId op = kNone;  // kNone: not of one op (kGradientNorm, kUpdate)
  std::vector<Operand> operands;
  bool relu = false;     // fused: forward applies it, kBackwardSums masks with dst > 0
  int input_index = 0;   // kBackwardData of add and concat: which input
  bool training = true;  // else what draws takes its mean
  bool replay = false;   // computes again what forward computed before
  int micro_batch = 0;   // of the plan's
  int chunk_images = 1;  // images a piece, from the op alone (see DESIGN: same bits)

  BufferId buffer(Role role) const {
    for (const Operand& o : operands)
      if (o.role == role) return o.buffer;
    return kNone;
  }
};

}  // namespace lockstep
