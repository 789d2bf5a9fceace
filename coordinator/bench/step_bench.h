#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/stages/grid.h"
#include "coordinator/stages/stage_setup.h"

namespace lockstep {

/// Training steps of a job on synthetic images that lie in memory, on this rank and all others of
/// the group: what `lockstep bench step` times. Every function is collective.
class StepBench {
 public:
  struct Options {
    bool nhwc = false;            // this layout, whatever the CPU likes best
    bool without_reduce = false;  // run_without_reduce() will be called
    bool predict = false;         // predicted_seconds() will be called
  };
  /// @throws ConfigError if the job has a dedicated coordinator, batches too small for the replicas, or
  /// stages where what `options` want makes no sense.
  StepBench(const Job& job, const Shape& input, int classes, const Communicator& group,
            const Options& options);
  StepBench(const StepBench&) = delete;  // the engine knows where groups_ are
  StepBench& operator=(const StepBench&) = delete;

  /// One step; seconds of the slowest rank.
  double run() { return time_step(engine_->trainer()); }

  /// The same with the gradients' all-reduces left out, which shows how much of them a step waits
  /// for. The ranks' parameters go different ways.
  double run_without_reduce() { return time_step(*without_reduce_); }

  /// A step by the plan and by what each call took in a probe beforehand, messages not counted.
  double predicted_seconds() const { return predicted_seconds_; }

  /// Where thread 0 of this rank spent the last step.
  const StepTimes& times() const { return times_; }

  /// From here on calls count for profile(): after steps that touch memory for the first time.
  void start_profile() { profile_start_ = engine_->trainer().call_ticks(); }

  /// Share of the kernels' time on this rank by op kind and pass ("conv2d data gradient"), of the
  /// steps of run().
  std::map<std::string, double> profile();

  /// How the job's stages share the model; null without stages.
  const PipelineChoice* pipeline() const { return choice_ ? &*choice_ : nullptr; }
  int replicas() const { return grid_.replicas(); }

  const Graph& graph() const { return engine_->graph(); }
  ModelState& state() { return engine_->state(); }
  Storage activations() const { return engine_->train_plan().activations; }
  int threads() const { return threads_; }
  int images() const { return images_; }  // of this rank's replica, in a step
  std::size_t arena_bytes() const { return engine_->arena_bytes(); }

 private:
  bool staged() const { return grid_.stages() > 1; }
  /// Those that share this rank's gradients.
  const Communicator& same_stage() const { return groups_ ? groups_->same_stage : group_; }
  /// Micro-batches that one run of the executor takes.
  std::size_t at_once() const { return staged() ? contexts_.size() : 1; }
  void make_images(const Job& job, const Shape& input, int classes);
  void prepare_steps();
  double time_step(Executor& executor);

  const Communicator& group_;
  Grid grid_;
  std::optional<GridGroups> groups_;  // staged
  std::int64_t batch_;                // of all replicas
  int threads_ = 1;
  std::unique_ptr<Engine> engine_;
  std::optional<PipelineChoice> choice_;  // staged
  std::vector<int> micro_batches_;        // images of each
  std::vector<StepContext> contexts_;     // the same
  int images_ = 0;
  std::vector<float> pixels_;
  std::vector<std::int32_t> labels_;
  std::vector<std::int64_t> positions_;
  Plan plan_without_reduce_;
  std::unique_ptr<Executor> without_reduce_;
  StepTimes times_;
  double predicted_seconds_ = 0;
  std::int64_t step_ = 0;
  std::vector<std::uint64_t> profile_start_;
};

/// The plan with the gradients' all-reduces left out: every rank updates with its own gradients.
Plan without_gradient_reduction(Plan plan);

}  // namespace lockstep
