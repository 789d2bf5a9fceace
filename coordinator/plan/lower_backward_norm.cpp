// Batch norm's backward: the lanes sum, a message adds up across ranks, the lanes make the gradient.
#include "coordinator/plan/lower_passes.h"

namespace lockstep {

namespace {

/// What its calls hand on to each other.
struct NormBackward {
  BufferId src = kNone, affine = kNone, lane_sums = kNone;
  BufferId masked = kNone;  // the gradient behind ReLU, which a residual gets too
  int level = 0;            // of the sums
};

/// 2C sums over the batch, and in the same pass ReLU's mask.
NormBackward backward_sums(Lowering& lowering, const FusedNorm& group,
                           const std::vector<BufferId>& diff) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const bool relu = group.relu != kNone;
  const std::size_t channels = at(lowering.graph.value(op.inputs[0]).shape.channels);
  const int when = writer.lane_level(diff);
  NormBackward norm;
  norm.src = value_for_backward(lowering, op.inputs[0], when);
  norm.affine = lowering.micro_batch().affine[at(group.norm)];
  norm.lane_sums = writer.lane_buffer(op.name + ".lane_backward_sums", BufferKind::kStatistics,
                                      2 * channels * sizeof(double));
  NewCall call = writer.call(CallKind::kBackwardSums, group.norm)
                     .read(Role::kDiffDst, diff[0])
                     .read(Role::kSrc, norm.src)
                     .read(Role::kAffine, norm.affine)
                     .write(Role::kLaneSums, norm.lane_sums);
  call.call.relu = relu;
  if (diff.size() == 2) call.read(Role::kDiffDst2, diff[1]);
  if (relu) call.read(Role::kDst, value_for_backward(lowering, group.output, when));
  norm.masked = diff[0];
  if (relu || diff.size() == 2) {
    norm.masked = writer.activation_gradient(op.name + ".masked", group.output);
    call.write(Role::kMasked, norm.masked);
  }
  norm.level = writer.add(std::move(call), Place::kLane);
  return norm;
}

/// The gradients of gamma and beta, and, from the sums of all ranks, the coefficients of the data's.
BufferId finish_sums(Lowering& lowering, const FusedNorm& group, const NormBackward& norm) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const std::size_t channels = at(lowering.graph.value(op.inputs[0]).shape.channels);
  const BufferId gamma = writer.parameter(op.parameters[0], Segment::kParameters);
  const BufferId gamma_gradient = writer.parameter(op.parameters[0], Segment::kGradients);
  const BufferId beta_gradient = writer.parameter(op.parameters[1], Segment::kGradients);
  const BufferId sums = writer.level_sums(op, norm.level, ".backward_sums");
  const BufferId coefficients = writer.fixed_buffer(
      op.name + ".coefficients", BufferKind::kStatistics, 3 * channels * sizeof(float));
  writer.add(writer.call(CallKind::kCombineBackward, group.norm)
                 .read(Role::kLaneSums, norm.lane_sums)
                 .write(Role::kSums, sums)
                 .read(Role::kAffine, norm.affine)
                 .write(Role::kGradient, gamma_gradient)
                 .write(Role::kBiasGradient, beta_gradient),
             Place::kCombine);
  for (ParameterId p : op.parameters) writer.draft().parameter_level[at(p)] = norm.level;
  writer.add(writer.call(CallKind::kFinishBackward, group.norm)
                 .read(Role::kSums, sums)
                 .read(Role::kWeights, gamma)
                 .read(Role::kAffine, norm.affine)
                 .write(Role::kCoefficients, coefficients),
             Place::kFinish);
  return coefficients;
}

}  // namespace

void lower_backward_norm(Lowering& lowering, const FusedNorm& group) {
  const Op& op = lowering.graph.op(group.norm);
  DraftWriter& writer = lowering.writer;
  const std::vector<BufferId> diff = gradient_of(lowering, group.output, group.last, 2);
  if (diff.empty()) return;  // nothing reads the output
  const NormBackward norm = backward_sums(lowering, group, diff);
  if (group.residual != kNone) contribute(lowering, group.residual, norm.masked);
  const BufferId coefficients = finish_sums(lowering, group, norm);
  if (!lowering.wants_gradient(op.inputs[0])) return;
  const BufferId diff_src = diff_src_buffer(lowering, op, 0);
  writer.add(writer.call(CallKind::kBackwardData, group.norm)
                 .read(Role::kMasked, norm.masked)
                 .read(Role::kSrc, norm.src)
                 .read(Role::kCoefficients, coefficients)
                 .write(Role::kDiffSrc, diff_src),
             Place::kLane);
  contribute(lowering, op.inputs[0], diff_src);
}

}  // namespace lockstep
