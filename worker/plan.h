#pragma once
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "layers/call.h"

namespace lockstep {

/// Which memory a buffer lies in.
enum class Segment {
  kArena,       // the plan's own, offsets by liveness
  kParameters,  // of the model state: contiguous, in the graph's order
  kGradients,
  kSlots,  // of the optimizer, one after the other, each as the parameters
  kStatistics,
  kPixels,  // the loader's batch: images
  kLabels,  // and their labels
};

/// What a buffer is for; `lockstep plan` sums memory by it.
enum class BufferKind {
  kActivation,
  kActivationGradient,
  kWorkspace,
  kPackedWeights,
  kLaneGradient,
  kStatistics,
  kState,
};

struct Buffer {
  std::string name;
  BufferKind kind = BufferKind::kActivation;
  Segment segment = Segment::kArena;
  std::size_t image_bytes = 0;  // per image; 0: not about images
  std::size_t lane_bytes = 0;   // one copy per lane; 0: one for all
  std::size_t bytes = 0;        // whole buffer in memory
  bool transient = false;       // lives inside one phase: one chunk per lane is enough
  BufferId parent = kNone;      // lies inside another buffer, at parent_offset
  std::size_t parent_offset = 0;
  bool pinned = false;                  // keeps its memory for the whole plan
  bool travels = false;                 // sent or received: all images are in memory
  int micro_batch = 0;                  // whose images
  int first_call = -1, last_call = -1;  // liveness, positions in Plan::calls
  std::size_t offset = 0;               // in its segment, bytes
};

/// Calls that run between two points where lanes must meet.
enum class PhaseKind {
  kLanes,   // each lane runs its images chunk by chunk, all calls depth first
  kTeam,    // units of work of all calls are dealt out to the threads
  kSerial,  // thread 0
};

struct Phase {
  std::string name;
  PhaseKind kind = PhaseKind::kLanes;
  std::vector<int> calls;  // positions in Plan::calls, increasing
  int chunk_images = 1;    // kLanes; a multiple of every call's chunk
};

enum class MessageKind {
  kAllReduceSums,  // double sums of a buffer, over the replicas: batch norm, loss
  kStageSums,      // the same over the stages of this replica: the gradients' norm
  kBroadcastSums,  // from the stage `peer` to the others of this replica: the loss
  kStartReduce,    // a bucket's gradients are ready
  kFinishReduce,   // wait for all buckets
  kStartSend,      // a buffer's images to the stage `peer` of this replica, beside computation
  kFinishSend,     // after it the buffer's memory may change
  kStartReceive,   // from the stage `peer`
  kFinishReceive,  // after it the buffer may be read
};

/// Whether a message begins or ends a transfer between two stages.
constexpr bool is_transfer(MessageKind kind) { return kind >= MessageKind::kStartSend; }

struct Message {
  MessageKind kind = MessageKind::kAllReduceSums;
  std::string name;
  BufferId buffer = kNone;  // sums, transfers
  int bucket = kNone;       // kStartReduce
  int peer = kNone;         // transfers, kBroadcastSums: a stage
  int transfer = kNone;     // which of the plan's; start and finish have the same
  int tag = 0;              // of the transfer
  std::vector<OpId> gates;  // sums: any of them off, and the message is left out on all ranks
};

struct PlanItem {
  std::variant<Phase, Message> what;
  bool last_micro_batch_only = false;  // reductions of gradients, update
};

/// What becomes of a call in a step that has switched its branch off: it is left out, and what others read of it is zero.
struct Switch {
  std::vector<OpId> gates;       // gates and stochastic depth; any of them off, and the call is off
  std::vector<BufferId> zeroed;  // written by the call, read by what may be on
  double on = 1;                 // how often the call runs
};

/// A contiguous range of the gradient segment that is reduced at once.
struct Bucket {
  std::size_t begin = 0, count = 0;  // floats
};

/// What one rank does for one micro-batch, or as a stage of a pipeline for all of a step, and where
/// every byte lies. There is one executor for all plans; data parallelism, recomputation and
/// pipelines are different lists.
struct Plan {
  bool training = true;
  LayoutKind layout = LayoutKind::kNhwc;
  Storage activations = Storage::kF32;
  int lanes = 1;
  int max_images = 0;     // of a micro-batch on this rank
  bool staged = false;    // a stage of a pipeline
  int micro_batches = 1;  // in this plan
  int transfers = 0;      // messages to and from other stages
  std::vector<Call> calls;
  std::vector<Switch> switches;  // by call; empty if nothing is ever switched off
  std::vector<Buffer> buffers;
  std::vector<PlanItem> items;
  std::vector<Bucket> buckets;
  BufferId loss_sums = kNone;      // doubles: layers/loss.h
  BufferId gradient_norm = kNone;  // double [3]: norm, clipping factor, 1 if the update was held
  std::vector<BufferId> logits;    // by micro-batch; empty where the loss is on another stage
  std::size_t arena_bytes = 0;

  const Buffer& buffer(BufferId id) const { return buffers[static_cast<std::size_t>(id)]; }
};

}  // namespace lockstep
