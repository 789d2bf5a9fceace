#pragma once
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>

#include "coordinator/checkpoint_pacer.h"
#include "coordinator/engine.h"
#include "coordinator/feed.h"
#include "coordinator/health/fault.h"
#include "coordinator/health/repeated_warning.h"
#include "coordinator/health/stragglers.h"
#include "coordinator/health/training_health.h"
#include "coordinator/health/watchdog.h"
#include "coordinator/job_data.h"
#include "coordinator/metrics.h"
#include "coordinator/progress.h"
#include "coordinator/recovery.h"
#include "coordinator/run_forecast.h"
#include "coordinator/run_lock.h"
#include "coordinator/run_record.h"
#include "coordinator/saver.h"
#include "coordinator/stages/grid.h"
#include "coordinator/stop_file.h"

namespace lockstep {

/// How a training ended.
enum class TrainingEnd { kDone, kStoppedBySignal, kStoppedAsAsked };

/// Runs a job on one rank, in lockstep with the others. Every rank walks the same steps and takes
/// part in every collective of the world; rank 0 also keeps the run directory. With coordinator =
/// dedicated rank 0 computes nothing: it reads and scatters data, keeps metrics, publishes.
class Trainer {
 public:
  /// `stop` is set by a signal handler: the step is finished, a checkpoint saved, and run() returns.
  /// `run_start` is kept with the run and with its checkpoints. `watchdog` is told what goes on. `faults`
  /// injects what a drill wants. `recovery`: what this rank brings along from before others were lost.
  Trainer(const Job& job, const RunStart& run_start, const Communicator& world,
          const volatile std::sig_atomic_t& stop, Watchdog& watchdog, FaultInjector& faults,
          Recovery* recovery = nullptr);
  ~Trainer();

  TrainingEnd run();

  /// After run() has thrown RankLostError: keeps what a training without the lost needs.
  void carry_into(Recovery& recovery);

  std::int64_t steps_done() const { return where_.step; }
  std::int64_t total_steps() const { return total_steps_; }
  /// Steps since this start; 0 where the run had been finished before.
  std::int64_t steps_taken() const { return where_.step - started_at_; }
  const std::filesystem::path& run_directory() const { return run_directory_; }
  const std::optional<ValidationMetrics>& last_validation() const { return last_validation_; }

 private:
  EngineOptions make_options(const Graph& graph);
  void make_engine(Graph graph, const EngineOptions& options);
  void make_loader(int micro_batch_images);
  void compare_plans();
  void tell_shards() const;
  void tell_classes(std::span<const std::int64_t> of_training) const;
  void start(const RunStart& run_start);
  void record(const RunStart& as_given);
  void prepare_sizes();
  std::int64_t last_step() const;
  TrainingFeed make_feed();
  StepMetrics step(TrainingFeed& feed);
  void compute(TrainingFeed& feed, const Positions& whole, StepMetrics& metrics);
  ValidationMetrics validate();
  void share_statistics();
  void tell_forecast();
  enum class Next { kGoOn, kStop, kRollBack };
  Next train(TrainingFeed& feed);
  Next boundary(const StepMetrics& metrics);  // after a step: saves, compares, listens
  bool meet_survivors();
  void take_carried(const std::filesystem::path& checkpoints);
  Next finish_carried_step();
  Next finish_step(const StepMetrics& metrics);
  void tell_recovery();
  void begin_epoch_where_due();
  void begin_where_left();
  void open_metrics();
  void remember_steps();
  bool act_on(const HealthVerdict& verdict, std::int64_t sick_ranks);
  [[noreturn]] void stop_because(const std::string& what);
  void look_at_layers();
  void look_for_stragglers();
  void tell_repeated_warnings() const;
  void roll_back();
  [[noreturn]] void not_saved() const;
  void end_of_epoch();
  void follow_plateau(const ValidationMetrics& v);
  void save();
  void compare_parameters();
  bool due_for_checkpoint() const;
  void publish();
  bool no_longer_improves() const;
  double fractional_epoch() const;
  CurvePlace curve_place() const;
  StartingPoint starting_point(bool resume) const;
  void check_start_from() const;
  void check_data() const;
  void tell_changes(const std::string& details) const;
  bool staged() const { return grid_.stages() > 1; }
  int replica() const { return works_ ? grid_.replica_of(workers_.rank()) : kNone; }
  bool loads() const { return works_ && grid_.stage_of(workers_.rank()) == 0; }
  /// Ranks that hold the same parameters as this one; its place there is its replica's.
  const Communicator& replicas() const { return groups_ ? groups_->same_stage : workers_; }
  std::vector<int> world_ranks_of_stage(int stage) const;  // by replica
  ModelState& state() { return engine_ ? engine_->state() : *idle_state_; }

  const Job& job_;
  const Communicator& world_;
  Recovery* recovery_;    // nullptr: none, or told
  int giver_ = -1;        // rank of the state that survivors go on with
  bool carried_ = false;  // it is theirs, and not a checkpoint's
  bool works_;            // false: rank 0 of a job with coordinator = dedicated
  int first_worker_;      // world rank of worker 0
  Communicator workers_;  // those that train (on a rank that only coordinates: itself alone)
  Grid grid_;             // of the workers
  std::optional<GridGroups> groups_;  // staged
  Pipeline pipeline_;                 // staged
  const volatile std::sig_atomic_t& stop_;
  Watchdog& watchdog_;
  FaultInjector& faults_;
  JobData data_;
  std::string data_record_;  // what they are
  int lanes_ = 1;
  Storage activations_ = Storage::kF32;
  std::string all_reduce_table_;  // the text of the file; empty: none
  std::filesystem::path run_directory_;
  std::unique_ptr<RunLock> lock_;   // rank 0
  std::unique_ptr<Engine> engine_;  // works_
  std::unique_ptr<Graph> graph_;    // !works_: the model's state alone, for checkpoints
  std::unique_ptr<ModelState> idle_state_;
  std::unique_ptr<Loader> loader_;     // loads()
  std::vector<StepContext> contexts_;  // of one run of the executor
  std::vector<int> sizes_;
  std::unique_ptr<Saver> saver_;
  CheckpointPacer pacer_;                 // rank 0's counts
  std::unique_ptr<MetricsFile> metrics_;  // rank 0
  std::unique_ptr<Progress> progress_;    // rank 0
  std::optional<RunForecast> forecast_;   // works_
  std::optional<TrainingHealth> health_;
  std::optional<StragglerWatch> stragglers_;  // of several replicas
  TrainingState where_;
  std::int64_t total_steps_ = 0, started_at_ = 0;
  StepMetrics last_step_;
  RepeatedWarning spike_warnings_, not_finite_warnings_, straggler_warnings_;
  bool sound_ = false;       // the state is one of before or after a step, but for in_step_
  bool in_step_ = false;     // before the update
  bool unfinished_ = false;  // what comes after the last step's update is not all done
  bool save_lost_ = false;   // a checkpoint was being written when a rank was lost
  StopFileWatch stop_file_;  // rank 0
  bool stopped_ = false;
  bool asked_to_stop_ = false;  // by the file; it ends with 0
  bool saved_ = true;           // the newest save has not failed
  bool val_scattered_ = false;
  std::optional<ValidationMetrics> last_validation_;
};

}  // namespace lockstep
