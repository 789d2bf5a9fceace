#include "coordinator/plan/report_text.h"

namespace lockstep {

namespace {

const char* name_of(CallKind kind) {
  switch (kind) {
    case CallKind::kForward:
      return "forward";
    case CallKind::kBackwardData:
      return "backward data";
    case CallKind::kBackwardWeights:
      return "backward weights";
    case CallKind::kFoldGradient:
      return "fold gradient";
    case CallKind::kPackWeights:
      return "pack weights";
    case CallKind::kPackWeightsBackward:
      return "pack weights (backward)";
    case CallKind::kStatistics:
      return "statistics";
    case CallKind::kCombineStatistics:
      return "combine statistics";
    case CallKind::kFinishStatistics:
      return "finish statistics";
    case CallKind::kRunningStatistics:
      return "running statistics";
    case CallKind::kBackwardSums:
      return "backward sums";
    case CallKind::kCombineBackward:
      return "combine backward";
    case CallKind::kFinishBackward:
      return "finish backward";
    case CallKind::kSum:
      return "sum";
    case CallKind::kCombineLoss:
      return "combine loss";
    case CallKind::kGradientNorm:
      return "gradient norm";
    case CallKind::kFinishGradientNorm:
      return "finish gradient norm";
    case CallKind::kUpdate:
      return "update";
  }
  return "";
}

const char* name_of(Role role) {
  switch (role) {
    case Role::kSrc:
      return "src";
    case Role::kSrc2:
      return "src2";
    case Role::kSrc3:
      return "src3";
    case Role::kDst:
      return "dst";
    case Role::kResidual:
      return "residual";
    case Role::kDiffDst:
      return "diff_dst";
    case Role::kDiffDst2:
      return "diff_dst2";
    case Role::kDiffSrc:
      return "diff_src";
    case Role::kDiffSrc2:
      return "diff_src2";
    case Role::kDiffSrc3:
      return "diff_src3";
    case Role::kMasked:
      return "masked";
    case Role::kWorkspace:
      return "workspace";
    case Role::kWeights:
      return "weights";
    case Role::kBias:
      return "bias";
    case Role::kPacked:
      return "packed";
    case Role::kLaneGradient:
      return "lane_gradient";
    case Role::kLaneBiasGradient:
      return "lane_bias_gradient";
    case Role::kGradient:
      return "gradient";
    case Role::kBiasGradient:
      return "bias_gradient";
    case Role::kLaneSums:
      return "lane_sums";
    case Role::kSums:
      return "sums";
    case Role::kAffine:
      return "affine";
    case Role::kCoefficients:
      return "coefficients";
    case Role::kSlots:
      return "slots";
    case Role::kRunning:
      return "running";
    case Role::kLabels:
      return "labels";
  }
  return "";
}

const char* name_of(PhaseKind kind) {
  switch (kind) {
    case PhaseKind::kLanes:
      return "lanes";
    case PhaseKind::kTeam:
      return "team";
    case PhaseKind::kSerial:
      return "one thread";
  }
  return "";
}

/// "src stem.conv 64.0 KiB/image".
std::string text_of(const Operand& operand, const Plan& plan) {
  const Buffer& b = plan.buffer(operand.buffer);
  std::string text = std::string(name_of(operand.role)) + " " + b.name + " ";
  if (b.image_bytes > 0)
    return text + in_units(b.image_bytes) + "/image" + (b.transient ? " (chunk)" : "");
  if (b.lane_bytes > 0) return text + in_units(b.lane_bytes) + "/lane";
  return text + in_units(b.bytes);
}

std::string text_of(const Call& call, const Plan& plan, const Graph& graph, bool lanes) {
  std::string text = "    ";
  text += name_of(call.kind);
  if (call.relu) text += " + relu";
  if (call.op != kNone) text += "  " + graph.op(call.op).name;
  if (lanes) text += "  by " + std::to_string(call.chunk_images);
  if (plan.micro_batches > 1) text += "  micro-batch " + std::to_string(call.micro_batch);
  const char* separator = ": ";
  for (const Operand& operand : call.operands) {
    text += separator + text_of(operand, plan);
    separator = ", ";
  }
  return text + "\n";
}

std::string text_of(const Message& message, const Plan& plan) {
  const std::string head = "message  " + message.name + ": ";
  switch (message.kind) {
    case MessageKind::kAllReduceSums:
      return head + "sum " + in_units(plan.buffer(message.buffer).bytes) + " over ranks";
    case MessageKind::kStartReduce: {
      const Bucket& bucket = plan.buckets[static_cast<std::size_t>(message.bucket)];
      return head + "start to sum " + in_units(bucket.count * sizeof(float)) +
             " of gradients over ranks";
    }
    case MessageKind::kFinishReduce:
      return head + "wait for all buckets";
    case MessageKind::kStageSums:
      return head + "sum " + in_units(plan.buffer(message.buffer).bytes) + " over stages";
    case MessageKind::kBroadcastSums:
      return head + in_units(plan.buffer(message.buffer).bytes) + " from stage " +
             std::to_string(message.peer) + " to all";
    case MessageKind::kStartSend:
      return head + "start to send " + in_units(plan.buffer(message.buffer).image_bytes) +
             "/image to stage " + std::to_string(message.peer);
    case MessageKind::kStartReceive:
      return head + "start to receive " + in_units(plan.buffer(message.buffer).image_bytes) +
             "/image from stage " + std::to_string(message.peer);
    case MessageKind::kFinishSend:
      return head + "wait until it is sent";
    case MessageKind::kFinishReceive:
      return head + "wait until it is here";
  }
  return head;
}

}  // namespace

std::string phases_text(const Plan& plan, const Graph& graph) {
  std::string text;
  for (const PlanItem& item : plan.items) {
    const char* when = item.last_micro_batch_only ? ", once a step" : "";
    if (const auto* message = std::get_if<Message>(&item.what)) {
      text += text_of(*message, plan) + when + "\n";
      continue;
    }
    const auto& phase = std::get<Phase>(item.what);
    const bool lanes = phase.kind == PhaseKind::kLanes;
    text += "phase    " + phase.name + ": " + name_of(phase.kind);
    if (lanes) text += ", chunks of " + std::to_string(phase.chunk_images);
    text += std::string(when) + "\n";
    for (int c : phase.calls)
      text += text_of(plan.calls[static_cast<std::size_t>(c)], plan, graph, lanes);
  }
  return text;
}

}  // namespace lockstep
