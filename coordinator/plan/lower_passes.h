#pragma once
#include "coordinator/plan/lowering.h"

namespace lockstep {

// The parts of pass 2, each in a file of its name. All add calls in an order of dependency.

// lower_forward.cpp
void lower_forward(Lowering& lowering, OpRange ops);
void lower_forward_op(Lowering& lowering, OpId id);
void lower_forward_norm(Lowering& lowering, const FusedNorm& group);  // but for its statistics
/// A convolution's weights in the layout that its kernel wants, at the boundary before `level`,
/// which reads them: in a deep net all together are larger than a small batch's activations.
BufferId pack_weights(Lowering& lowering, OpId id, bool backward, int level);

// lower_loss.cpp
void lower_loss(Lowering& lowering, OpId id);
/// The sums of all micro-batches; a stage without the loss gets them by a message.
void add_loss_sums(Lowering& lowering);
/// The gradients' norm, and the optimizer's step.
void lower_update(Lowering& lowering);

// lower_replay.cpp
/// A value, or a workspace, as backward reads it. If it was forgotten, its op runs again, in `level`
/// at the earliest: next to what reads it, so that it often need not leave the cache.
BufferId value_for_backward(Lowering& lowering, ValueId id, int level);
BufferId workspace_for_backward(Lowering& lowering, OpId id, int level);
/// Forgets what the ops' forward made and backward does not find, and adds the replays with which
/// their backward begins: they need no gradient. Returns how many steps of the recomputation that
/// was, with those before them that other ops have.
std::size_t lower_first_replays(Lowering& lowering, OpRange ops);
/// Makes a step's values again at the level that backward has come to, and forgets what that took
/// besides. Only those that `ops` make: the others are on another stage, or are still there.
void lower_replay(Lowering& lowering, const RecomputeStep& step, OpRange ops);
/// Those of `ops` that a step is about; none if `first` is behind `last`.
OpRange ops_of_step(const Lowering& lowering, const RecomputeStep& step, OpRange ops);

// lower_gradients.cpp
/// Adds what a consumer in `chunk` gives to a value's gradient.
void contribute(Lowering& lowering, ValueId value, Contribution gradient);
/// Likewise, a consumer in the chunk whose calls are being added.
void contribute(Lowering& lowering, ValueId value, BufferId gradient);
/// The gradient of a value as at most `most` buffers that together are its sum; earlier ones are
/// summed by kSum, in the order in which the consumers ran. Empty: nothing reads the value.
std::vector<BufferId> gradient_of(Lowering& lowering, ValueId value, OpId producer,
                                  std::size_t most);
/// Likewise, what a chunk of this stage gives to it.
BufferId gradient_from(Lowering& lowering, ValueId value, int chunk);

// lower_backward.cpp
/// From the last op to the first, with the recomputation's steps but for the first `done`.
void lower_backward(Lowering& lowering, OpRange ops, std::size_t done);
/// The weight gradients that the data gradients of this part's chunk have left.
void lower_deferred_weights(Lowering& lowering);
/// A buffer for the gradient of an op's input.
BufferId diff_src_buffer(Lowering& lowering, const Op& op, std::size_t index);

// lower_backward_norm.cpp
void lower_backward_norm(Lowering& lowering, const FusedNorm& group);

// lower_stage.cpp
/// All parts of all micro-batches in the order of the options' stage, and its messages.
void lower_stage(Lowering& lowering);

}  // namespace lockstep
