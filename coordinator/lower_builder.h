#pragma once
#include <string>
#include <vector>

#include "coordinator/draft.h"
#include "coordinator/fuse.h"

namespace lockstep {

/// Ops whose kernels read weights in a layout of their own.
inline bool has_packed_weights(const Op& op) {
  return std::holds_alternative<Conv2d>(op.attributes) ||
         std::holds_alternative<ConvTranspose2d>(op.attributes);
}

/// State of pass 2: adds calls and buffers to a draft and keeps the levels.
class LowerBuilder {
 public:
  LowerBuilder(const Graph& graph, const Fusion& fusion, const Backend& backend,
               const PlanOptions& options);

  void forward();
  void backward();  // with the options' recomputation
  void update();
  Draft take() { return std::move(draft_); }

 private:
  // Buffers.
  BufferId add_buffer(Buffer buffer);
  BufferId image_buffer(const std::string& name, BufferKind kind, std::size_t image_bytes);
  BufferId lane_buffer(const std::string& name, BufferKind kind, std::size_t bytes);
  BufferId fixed_buffer(const std::string& name, BufferKind kind, std::size_t bytes);
  BufferId parameter(ParameterId id, Segment segment);
  BufferId running(const Op& op);
  BufferId level_sums(const Op& op, int level, const std::string& suffix);
  std::size_t value_bytes(ValueId value) const;

  // Calls. `reads` of a call decide its level.
  int add_call(Call call, Place place, std::vector<BufferId> reads,
               const std::vector<BufferId>& writes, int earliest = -1);
  Call make_call(CallKind kind, OpId op, std::vector<Operand> operands) const;

  // Forward (lower_forward.cpp).
  void forward_norm(const FusedNorm& group);
  void norm_statistics(const FusedNorm& group);
  void forward_loss(OpId id);
  void forward_op(OpId id);
  void cut_by_packed_bytes(OpId id);
  BufferId pack(OpId id, bool backward, int level);

  // Recomputation (lower_replay.cpp).
  BufferId value(ValueId id, int level);
  BufferId workspace(OpId id, int level);
  void replay(OpId id, int level);
  void replay(const Chain& chain, const RecomputeStep& step);
  void forget(const std::vector<bool>& keep);
  int lane_level(const std::vector<BufferId>& reads) const;

  // Backward (lower_backward.cpp).
  void backward(OpId first, OpId last);
  void backward_norm(const FusedNorm& group);
  void backward_op(OpId id);
  void backward_matrix(OpId id, BufferId diff_dst);
  void backward_weights(OpId id, BufferId diff_dst);
  void backward_group_norm(OpId id, BufferId diff_dst);
  void backward_input(OpId id, std::size_t index, BufferId diff_dst);
  void fold(OpId id, BufferId lane_gradient, BufferId lane_bias);
  BufferId diff_src_buffer(const Op& op, std::size_t index);
  std::vector<BufferId> gradient_of(ValueId value, OpId producer, std::size_t most);
  void contribute(ValueId value, BufferId gradient);
  bool wants_gradient(ValueId value) const { return value != graph_.input(); }

  const Graph& graph_;
  const Fusion& fusion_;
  const Backend& backend_;
  PlanOptions options_;
  Draft draft_;
  std::vector<std::size_t> parameter_offsets_, statistic_offsets_;
  std::vector<int> available_;                       // by buffer: first level whose lanes can read it
  std::vector<bool> lane_made_;                      // by buffer: written by lanes of that level
  std::vector<BufferId> values_;                     // by value
  std::vector<std::vector<BufferId>> contributions_; // by value: gradients from its consumers
  std::vector<BufferId> affine_, workspace_;         // by op
  int front_ = 0;           // the last level that backward has come to
  int replay_level_ = kNone;  // calls being added are replays, not before this level
  int least_level_ = 0;       // of calls being added
  std::size_t packed_bytes_ = 0;  // for this level, where nothing else makes levels
};

}  // namespace lockstep
