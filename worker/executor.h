#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "layers/backend.h"
#include "worker/comm/all_reduce.h"
#include "worker/memory.h"
#include "worker/plan.h"
#include "worker/team.h"

namespace lockstep {

/// Where thread 0 spent a step, in seconds. The parts sum to the step.
struct StepTimes {
  double compute = 0;   // the lanes' phases, folding, packing, finishing statistics
  double sync_bn = 0;   // batch norm's sums across ranks
  double reduce = 0;    // exposed: waiting for gradients after backward
  double barrier = 0;   // waiting for the other threads of this rank
  double update = 0;    // gradient norm and optimizer

  double total() const { return compute + sync_bn + reduce + barrier + update; }
  StepTimes& operator+=(const StepTimes& other);
};

/// Executes a plan: the one loop of the program. Memory, primitives and the sequence of every lane
/// are fixed before a step; run() allocates nothing and looks nothing up by name.
class Executor {
 public:
  /// `arena` has at least plan.arena_bytes and may be shared with other plans: nothing in it has to
  /// survive from one run() to the next, except between micro-batches of one step.
  Executor(const Plan& plan, Backend& backend, ModelState& state, Arena& arena,
           const Communicator& group, Team& team, const AllReduceOptions& all_reduce = {});
  ~Executor();

  /// Makes ready for micro-batches of `images` images (0 to plan.max_images); outside a step.
  void prepare(int images);

  /// Runs one micro-batch of context.images images; gradients are reduced and the parameters updated
  /// with the last one of a step. @throws CommError, InternalError.
  void run(const StepContext& context, bool last_micro_batch = true);

  /// After the last micro-batch: sums over the whole group, in layers/loss.h's order.
  std::span<const double> loss_sums() const;
  /// Global norm of the gradients before clipping.
  double gradient_norm() const;
  /// Logits of the last micro-batch of an evaluation, [images, classes] or
  /// [images, H, W, classes].
  const float* logits() const;

  const StepTimes& times() const { return times_; }  // of the last run()
  /// Ticks of every call of the plan, summed over lanes since construction.
  std::vector<std::uint64_t> call_ticks() const;
  std::size_t scratch_bytes() const;

 private:
  struct Entry {
    Kernel* kernel;
    int call;
    Range range;
  };
  /// What each lane does in each item, for one number of images.
  struct Program {
    std::vector<std::vector<std::vector<Entry>>> entries;  // [item][lane]
    std::vector<std::pair<int, int>> lanes;                // images of each lane
  };

  Memory memory_of(BufferId id) const;
  void bind_kernels(Backend& backend);
  std::vector<Entry> lane_entries(const Phase& phase, int begin, int end) const;
  std::vector<std::vector<Entry>> team_entries(const Phase& phase) const;
  void run_thread(const Program& program, const StepContext& context, bool last, int thread);
  void run_entries(const std::vector<Entry>& entries, const StepContext& context, const Lane& lane);
  void run_message(const Message& message);
  void poll();
  double lap(double& bucket);

  const Plan& plan_;
  ModelState& state_;
  Arena& arena_;
  const Communicator& group_;
  Team& team_;
  AllReduceOptions all_reduce_;
  std::byte* pixels_ = nullptr;
  std::vector<std::unique_ptr<Kernel>> kernels_;  // by call
  std::map<int, Program> programs_;               // by images
  std::vector<Arena> scratch_;                    // by lane
  std::vector<std::vector<std::uint64_t>> ticks_; // [lane][call]
  std::vector<AsyncAllReduce> reductions_;        // by bucket
  std::vector<bool> reducing_;
  int active_reductions_ = 0;
  std::uint64_t sequence_ = 0;
  StepTimes times_;
  double last_lap_ = 0;
};

}  // namespace lockstep
