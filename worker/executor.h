#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "layers/backend.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/transfer.h"
#include "worker/memory.h"
#include "worker/plan.h"
#include "worker/switches.h"
#include "worker/team.h"

namespace lockstep {

/// Where thread 0 spent a step, in seconds, whose parts sum to the step; and what it sent.
struct StepTimes {
  double compute = 0;   // the lanes' phases, folding, packing, finishing statistics
  double sync_bn = 0;   // batch norm's sums across ranks
  double reduce = 0;    // exposed: waiting for gradients after backward
  double pipeline = 0;  // waiting for values of other stages, and for all stages at the end
  double barrier = 0;   // waiting for the other threads of this rank
  double update = 0;    // gradient norm and optimizer
  double bytes = 0;     // given to all-reduces among replicas, and sent to other stages

  double total() const { return compute + sync_bn + reduce + pipeline + barrier + update; }
  StepTimes& operator+=(const StepTimes& other);
};

/// Executes a plan: the one loop of the program. Memory, primitives and the sequence of every lane
/// are fixed before a step; run() allocates nothing and looks nothing up by name.
class Executor {
 public:
  /// `arena` has at least plan.arena_bytes and may be shared with other plans: nothing in it has to
  /// survive from one run() to the next, except between micro-batches of one step. `group` are the
  /// ranks with the same stage of other replicas, `stages` those of this replica by stage: a plan
  /// without a pipeline needs none.
  Executor(const Plan& plan, Backend& backend, ModelState& state, Arena& arena,
           const Communicator& group, Team& team, const AllReduceOptions& all_reduce = {},
           const Communicator* stages = nullptr);
  ~Executor();

  /// Makes ready for micro-batches of so many images (0 to plan.max_images); outside a step.
  void prepare(std::span<const int> images);
  void prepare(int images) { prepare({&images, 1}); }

  /// Runs the plan's micro-batches. A stage of a pipeline runs all those of a step; pixels are read
  /// on the stage of the first chunk alone, labels there and sent to the loss's stage.
  /// Without a pipeline a plan has one micro-batch: gradients are reduced and the parameters updated
  /// with the last one of a step. @throws CommError, InternalError.
  void run(std::span<const StepContext> micro_batches, bool last = true);
  void run(const StepContext& context, bool last_micro_batch = true) {
    run({&context, 1}, last_micro_batch);
  }

  /// After the last micro-batch: sums over the whole group, in layers/loss.h's order.
  std::span<const double> loss_sums() const;
  /// Global norm of the gradients before clipping.
  double gradient_norm() const;
  /// The norm was beyond StepContext::norm_limit: nothing was updated.
  bool update_held() const;
  /// Logits of a micro-batch of the last run() of an evaluation, [images, classes] or
  /// [images, H, W, classes]; nullptr if the loss is on another stage.
  const float* logits(int micro_batch = 0) const;

  const StepTimes& times() const { return times_; }  // of the last run()
  /// Ticks of every call of the plan, summed over lanes since construction.
  std::vector<std::uint64_t> call_ticks() const;
  std::size_t scratch_bytes() const;

 private:
  struct Entry {
    Kernel* kernel;
    int call;
    int micro_batch;
    Range range;
  };
  /// What each lane does in each item, for some numbers of images.
  struct Program {
    std::vector<std::vector<std::vector<Entry>>> entries;  // [item][lane]
  };

  Memory memory_of(BufferId id) const;
  void bind_kernels(Backend& backend);
  std::vector<Entry> lane_entries(const Phase& phase, int begin, int end) const;
  std::vector<std::vector<Entry>> team_entries(const Phase& phase) const;
  void run_thread(const Program& program, bool last, int thread);
  void run_entries(const std::vector<Entry>& entries, int thread);
  void run_message(const Message& message);
  void run_sums(const Message& message);
  void run_transfer(const Message& message);
  void bind_labels();
  void poll();
  double lap(double& bucket);

  const Plan& plan_;
  ModelState& state_;
  Arena& arena_;
  const Communicator& group_;
  Team& team_;
  AllReduceOptions all_reduce_;
  const Communicator* stages_;
  std::vector<StepContext> contexts_;        // by micro-batch
  std::vector<std::byte*> pixels_;           // the same
  std::vector<const std::int32_t*> labels_;  // received from another stage, or nullptr
  std::vector<int> images_;
  std::vector<std::unique_ptr<Kernel>> kernels_;  // by call
  Switches switches_;
  std::map<std::vector<int>, Program> programs_;   // by images of each micro-batch
  std::vector<Arena> scratch_;                     // by lane
  std::vector<std::vector<std::uint64_t>> ticks_;  // [lane][call]
  std::vector<AsyncAllReduce> reductions_;         // by bucket
  std::vector<bool> reducing_;
  int active_reductions_ = 0;
  std::vector<Transfer> transfers_;
  std::vector<int> travelling_;  // transfers under way, in the order of their start
  std::uint64_t sequence_ = 0;
  StepTimes times_;
  double last_lap_ = 0;
};

}  // namespace lockstep
