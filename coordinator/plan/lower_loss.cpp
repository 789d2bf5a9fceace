// The two ends of a step: the loss, and the update of the parameters.
#include "layers/loss.h"

#include "coordinator/plan/lower_passes.h"

namespace lockstep {

void lower_loss(Lowering& lowering, OpId id) {
  const Op& op = lowering.graph.op(id);
  const PlanOptions& options = lowering.options;
  DraftWriter& writer = lowering.writer;
  Draft& draft = writer.draft();
  const BufferId logits = lowering.value(op.inputs[0]);
  const std::size_t bytes = at(loss_sum_count(lowering.graph, op)) * sizeof(double);
  const BufferId lane_sums = writer.lane_buffer("loss.lane_sums", BufferKind::kStatistics, bytes);
  draft.buffer(lane_sums).pinned = !options.staged();
  add_loss_sums(lowering);
  draft.logits.push_back(logits);
  draft.buffer(logits).pinned = options.staged() && !options.training;
  NewCall call = writer.call(CallKind::kForward, id)
                     .read(Role::kSrc, logits)
                     .write(Role::kLaneSums, lane_sums)
                     .read(Role::kLabels, lowering.micro_batch().labels);
  if (options.training) {
    const BufferId gradient = writer.activation_gradient("loss.gradient", op.inputs[0]);
    call.write(Role::kDiffSrc, gradient);
    contribute(lowering, op.inputs[0], gradient);
  }
  writer.add(std::move(call), Place::kLane);
  NewCall combine = writer.call(CallKind::kCombineLoss, id)
                        .read(Role::kLaneSums, lane_sums)
                        .write(Role::kSums, draft.loss_sums);
  if (options.staged())
    writer.add(std::move(combine), Place::kCombine);
  else
    writer.add_to_tail(std::move(combine));
}

void add_loss_sums(Lowering& lowering) {
  Draft& draft = lowering.writer.draft();
  if (draft.loss_sums != kNone) return;
  const int sums = loss_sum_count(lowering.graph, lowering.graph.ops().back());
  draft.loss_sums =
      lowering.writer.fixed_buffer("loss.sums", BufferKind::kStatistics, at(sums) * sizeof(double));
  draft.buffer(draft.loss_sums).pinned = true;
}

void lower_update(Lowering& lowering) {
  DraftWriter& writer = lowering.writer;
  Draft& draft = writer.draft();
  const BufferId gradients = writer.all_parameters("gradients", Segment::kGradients, 1);
  const BufferId slots = writer.all_parameters("optimizer slots", Segment::kSlots,
                                               lowering.options.optimizer.slots.size());
  const BufferId parameters = writer.all_parameters("parameters", Segment::kParameters, 1);
  const BufferId partials =
      writer.fixed_buffer("gradient_norm.partials", BufferKind::kStatistics,
                          update_blocks(lowering.graph).size() * sizeof(double));
  const BufferId norm =
      writer.fixed_buffer("gradient_norm", BufferKind::kStatistics, 3 * sizeof(double));
  draft.norm_partials = partials;
  draft.gradient_norm = norm;
  draft.buffer(norm).pinned = true;
  writer.add_to_tail(NewCall{.call = {.kind = CallKind::kGradientNorm}}
                         .read(Role::kGradient, gradients)
                         .write(Role::kLaneSums, partials));
  writer.add_to_tail(NewCall{.call = {.kind = CallKind::kFinishGradientNorm}}
                         .read(Role::kLaneSums, partials)
                         .write(Role::kSums, norm));
  writer.add_to_tail(NewCall{.call = {.kind = CallKind::kUpdate}}
                         .read(Role::kGradient, gradients)
                         .write(Role::kSlots, slots)
                         .write(Role::kWeights, parameters)
                         .read(Role::kSums, norm));
}

}  // namespace lockstep
