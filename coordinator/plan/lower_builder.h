#pragma once
#include <string>
#include <vector>

#include "coordinator/plan/draft.h"
#include "coordinator/plan/fuse.h"
#include "coordinator/plan/stage_messages.h"
#include "coordinator/plan/stretch.h"

namespace lockstep {

/// Ops whose kernels read weights in a layout of their own.
inline bool has_packed_weights(const Op& op) { return op.traits().weights == Weights::kPacked; }

/// State of pass 2: adds calls and buffers to a draft and keeps the levels.
class LowerBuilder {
 public:
  LowerBuilder(const Graph& graph, const Fusion& fusion, const Backend& backend,
               const PlanOptions& options);

  void forward(OpId first, OpId last);
  void backward(OpId first, OpId last);  // from last to first, with the options' recomputation
  void pipeline();                       // all parts of the options' stage
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
  void add_loss_sums();
  void forward_op(OpId id);
  void cut_evaluation(OpId id);
  BufferId pack(OpId id, bool backward, int level);

  // Recomputation (lower_replay.cpp).
  BufferId value(ValueId id, int level);  // as backward reads it
  BufferId workspace(OpId id, int level);
  void replay(OpId id, int level);
  void replay(const RecomputeStep& step, OpId first, OpId last);
  std::size_t replay_first(OpId first, OpId last);
  OpRange ops_of(const RecomputeStep& step, OpId first, OpId last) const;
  void forget(const std::vector<bool>& keep, OpId first, OpId last);
  int lane_level(const std::vector<BufferId>& reads) const;

  // Stages (lower_stage.cpp).
  void part(int index);
  void enter(const Part& part);
  void start_receives(int index);
  void finish_receives(int index, int level);
  void finish_sends(int index);
  void send(int index);
  void weights_of_part(int chunk);
  BufferId sent_buffer(const StageMessage& message);

  // Backward (lower_backward.cpp).
  void backward(OpId first, OpId last, std::size_t done);  // all but so many steps
  void backward_ops(OpId first, OpId last);
  void backward_norm(const FusedNorm& group);
  void backward_op(OpId id);
  void backward_matrix(OpId id, BufferId diff_dst);
  void backward_weights(OpId id, BufferId diff_dst, BufferId src);
  void backward_with_parameters(OpId id, BufferId diff_dst);
  void backward_input(OpId id, std::size_t index, BufferId diff_dst);
  void backward_at_once(OpId id, BufferId diff_dst);
  void fold(OpId id, BufferId lane_gradient, BufferId lane_bias);
  BufferId diff_src_buffer(const Op& op, std::size_t index);
  std::vector<BufferId> gradient_of(ValueId value, OpId producer, std::size_t most);
  std::vector<BufferId> sum(std::vector<BufferId> parts, ValueId value, OpId producer,
                            std::size_t most);
  void contribute(ValueId value, BufferId gradient) { contribute(value, gradient, chunk_); }
  void contribute(ValueId value, BufferId gradient, int chunk);
  bool wants_gradient(ValueId value) const { return value != graph_.input(); }

  /// A value's gradient from one of its consumers, or from a chunk of another stage.
  struct Contribution {
    BufferId gradient;
    int chunk;
  };
  /// A weight gradient whose part is still to come.
  struct Deferred {
    OpId op;
    BufferId diff_dst, src;
    int chunk;
  };
  /// What the calls of one micro-batch find.
  struct MicroBatch {
    std::vector<BufferId> values;                          // by value
    std::vector<std::vector<Contribution>> contributions;  // by value, from the last chunk on
    std::vector<BufferId> affine, workspace;               // by op
    BufferId labels = kNone;                               // if they come from another stage
    std::vector<Deferred> deferred;
  };
  void add_micro_batches();

  const Graph& graph_;
  const Fusion& fusion_;
  const Backend& backend_;
  PlanOptions options_;
  Draft draft_;
  OwnedTensors owned_;
  std::vector<std::size_t> parameter_offsets_, statistic_offsets_;
  std::vector<int> available_;   // by buffer: first level whose lanes can read it
  std::vector<bool> lane_made_;  // by buffer: written by lanes of that level
  std::vector<MicroBatch> micro_batches_;
  MicroBatch* micro_ = nullptr;                 // whose calls are being added
  int micro_batch_ = 0, chunk_ = 0, part_ = 0;  // where the calls being added belong
  bool defer_weights_ = false;
  Chain chain_;               // made when recomputation asks for it
  int front_ = 0;             // the last level that backward has come to
  int replay_level_ = kNone;  // calls being added are replays, not before this level
  int least_level_ = 0;       // of calls being added
  int part_level_ = 0;        // the first of the part being added
  int next_level_ = 0;        // of the next part
  std::vector<StageMessage> messages_;
  std::vector<Message> transfers_;  // by message, those of this stage
  int least_replay_ = 0;            // level
  std::size_t packed_bytes_ = 0;    // for this level, where nothing else makes levels
  Stretch made_, replayed_;         // in evaluation's forward; in replays
};

}  // namespace lockstep
