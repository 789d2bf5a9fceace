#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "coordinator/stages/grid.h"
#include "data/checkpoint_writer.h"
#include "worker/comm/communicator.h"
#include "worker/memory.h"

namespace lockstep {

/// Every tensor of a checkpoint; the views point into the state, and are empty where this rank does not
/// hold the tensor.
std::vector<TensorView> checkpoint_tensors(ModelState& state);

/// Which rank writes each of them: those of a stage are dealt out to its replicas by bytes.
/// `stage_of_op` is empty where there are no stages. Ranks of `grid` begin at `first_rank`.
std::vector<int> checkpoint_writers(const Graph& graph, const OptimizerRule& optimizer,
                                    const std::vector<int>& stage_of_op, const Grid& grid,
                                    int first_rank);

/// Saves checkpoints beside training; DESIGN of the protocol in data/checkpoint.h. All ranks of the
/// group call every function, in step. A save that fails (a full disk) is reported and training goes
/// on: the older checkpoints are untouched. So is one of values that are not finite: it is never published.
class Saver {
 public:
  /// Ranks from `first_writer` on share the writing; `writers`: by tensor, a rank that holds it.
  Saver(std::filesystem::path checkpoints, ModelState& state, const Communicator& group,
        int first_writer, const std::vector<int>& writers, int keep_newest);

  /// Copies the state and starts to write it; an older save must be published. False, on all ranks,
  /// if that cannot begin.
  bool start(const TrainingState& where);

  /// This rank's part is on the disk; ranks agree on it before calling publish().
  bool ready() const { return !saving_ || !writer_->busy() || writer_->finished(); }
  bool saving() const { return saving_.has_value(); }
  std::optional<std::int64_t> saving_step() const {
    return saving_ ? std::optional(saving_->step) : std::nullopt;
  }

  /// Publishes what all ranks have written. Rank 0 calls `before_publish` first: what it throws is a failure of the
  /// save. Waits if needed. False, on all ranks, if it failed; true where there was nothing to do.
  bool publish(const std::function<void()>& before_publish = {});

 private:
  std::filesystem::path checkpoints_;
  const Communicator& group_;
  int first_writer_, keep_newest_;
  std::vector<TensorView> tensors_;  // all; the views point into the state
  std::vector<std::size_t> mine_;    // those that this rank writes
  std::unique_ptr<CheckpointWriter> writer_;
  std::string refused_;  // why this rank does not write; empty: it does
  std::optional<TrainingState> saving_;
};

/// The root's, on all ranks of the group. Collective.
TrainingState share_training_state(TrainingState where, int root, const Communicator& group);

/// What a training may begin with.
struct StartingPoint {
  std::filesystem::path checkpoints;  // of the run
  bool resume = true;
  std::uint64_t seed = 0;
  std::string start_from;  // parse_checkpoint_choice; empty: from the seed
  std::vector<std::string> class_names =
      {};  // of the data: what start_from was trained on may be another task
  int classes = 0;
  // checkpoint.on_changed = warn: where the run's checkpoint is of another optimizer, slots begin at zero
  bool slots_may_begin = false;
};

/// Loads the newest good checkpoint on rank 0 and gives every rank the tensors that it holds. A run
/// without one takes the weights and statistics of `start_from`, or starts from the seed. Says on rank 0
/// what was rejected and why. Returns where training goes on (step 0: anew, with started_from in its
/// details). `replicas`: the ranks that hold the same tensors. @throws CheckpointError if the checkpoint
/// is of another model, or the run's of another optimizer; MissingFileError where start_from does not exist.
TrainingState load_or_initialize(const StartingPoint& from, ModelState& state,
                                 const Communicator& group, const Communicator& replicas);

/// Reads one checkpoint into the state (this rank alone). Slots of an optimizer other than the state's are passed
/// over: the state's are zeroed. @throws CheckpointError.
TrainingState load_checkpoint(const Checkpoint& checkpoint, ModelState& state);

}  // namespace lockstep
