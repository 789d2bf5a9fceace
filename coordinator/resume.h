#pragma once
#include <string>

#include "coordinator/health/training_health.h"
#include "coordinator/metrics_file.h"
#include "coordinator/recovery.h"
#include "coordinator/run_context.h"
#include "coordinator/run_course.h"
#include "coordinator/run_record.h"
#include "coordinator/saver.h"

namespace lockstep {

/// From where a training goes on: from its seed, another run's weights, its newest good checkpoint, or what survivors of
/// a lost rank bring along.
class Resume {
 public:
  /// `recovery`: what this rank brings along from before others were lost; null: none were. The model need not be there
  /// yet. Collective: ranks compare their data.
  Resume(const RunContext& run, Recovery* recovery);

  /// Opens the run directory, and loads the state and the course. Collective.
  /// @throws CheckpointError, and DataError where the data are others than before.
  void load(RunCourse& course);
  /// Keeps this start in the run directory and for checkpoints, and says what has changed since the checkpoint.
  /// Collective.
  void record(const RunStart& as_given, RunCourse& course) const;
  /// After both: writes the step that survivors bring along into the metrics, if they lack it. `metrics`: of rank 0,
  /// else null; likewise below.
  void complete(MetricsFile* metrics, const RunCourse& course) const;

  /// The newest good checkpoint, or the beginning, as a new start would. Collective.
  void load_again(RunCourse& course) const;

  /// This training goes on with survivors' state, and nothing has been done with it yet.
  bool carried() const { return carried_; }
  /// And a checkpoint was being written when a rank was lost: it is to be begun again.
  bool owes_save() const { return carried_ && save_lost_; }
  void go_on() { carried_ = false; }

  /// After the first step without those that were lost, or none if there was none left to do: says once
  /// what that took.
  void report(const RunCourse& course, const MetricsFile* metrics);

 private:
  StartingPoint starting_point(bool resume) const;
  void warn_of_changes(const RunCourse& course, const std::string& details) const;
  bool meet_survivors();
  void take_carried(RunCourse& course);
  void check_data(const TrainingState& where) const;

  RunContext run_;
  Recovery* recovery_;       // null: none, or told
  std::string data_record_;  // what the data are
  int donor_ = -1;           // rank of the state that survivors go on with
  bool carried_ = false;     // it is theirs, and not a checkpoint's
  bool save_lost_ = false;   // a checkpoint was being written when a rank was lost
};

/// Tells a health of the steps before, so that a resumed run skips what an uninterrupted one does. Collective.
void remember_steps(const MetricsFile* metrics, const Communicator& world, TrainingHealth& health);

}  // namespace lockstep
