#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

// checkpoints/step-00001200/ = shard-000.h5 ... + index.h5 + manifest.json; CHECKPOINT_FORMAT.md is
// the page of the format. Saving, step by step (the caller carries paths and reports over MPI):
//   rank 0    temporary_checkpoint_directory      .tmp-step-00001200, empty
//   writers   write_shard                         their tensors, synced; the report goes to rank 0
//   rank 0    publish_checkpoint                  index and manifest, synced; rename; parent synced
// A process or machine that dies anywhere in between leaves the older checkpoints as they were.

/// A tensor to be saved: "parameters/group1.block0.conv1.weight", "momentum/...", "statistics/...".
/// Names are paths without empty, "." or ".." components. values: row-major, product of dims; {} is
/// a scalar. Borrowed.
struct TensorView {
  std::string name;
  std::vector<std::int64_t> dims;
  std::span<const float> values;
};

/// How far validations are from making the rate fall: schedule.policy = plateau.
struct PlateauState {
  std::optional<double> best;  // of the metric, until now
  bool of_loss = true;         // which metric that is: loss, or accuracy
  std::int64_t step = 0;       // of the newest validation that was counted; 0: none
  std::int64_t waited = 0;     // validations since the best one or the last fall
  std::int64_t falls = 0;      // of the rate
};

/// Where training is. Everything else that has to come back is in `details`.
struct TrainingState {
  std::int64_t step = 0;    // optimizer updates done
  std::int64_t epoch = 0;   // being worked on, from 0
  std::int64_t cursor = 0;  // samples of that epoch already seen
  std::uint64_t seed = 0;
  double best_metric = 0.0;  // of validation, so far; NaN and infinities are kept
  std::optional<std::int64_t> best_step;
  // steps that the optimizer's slots have not seen: those that were held, and all before another optimizer began
  std::int64_t slot_lag = 0;  // written where it is not 0
  PlateauState plateau;       // written where it counts: step > 0
  // A JSON object as text: schedule, loss scale, job, grid, versions, instruction set. Comes back
  // with the same values in the same order, not with the same blanks.
  std::string details = "{}";
};

/// Deals whole tensors out to writers: the largest first, each to the writer with the fewest bytes.
/// Returns the writer of each tensor. Depends on the arguments only; no writer gets more than the
/// average plus the largest tensor. @throws InternalError unless writers > 0.
std::vector<int> deal_tensors(std::span<const std::int64_t> bytes, int writers);

/// "step-00001200"; sorts by step.
std::string checkpoint_name(std::int64_t step);

/// Creates checkpoints/.tmp-step-... anew, empty, and `checkpoints` itself if need be. Rank 0 only.
std::filesystem::path temporary_checkpoint_directory(const std::filesystem::path& checkpoints,
                                                     std::int64_t step);

/// Removes what saves that died left behind, and finishes a replacement that was interrupted. For
/// rank 0 at start, before anything is read. Returns the names, for the log.
std::vector<std::string> remove_stale_temporaries(const std::filesystem::path& checkpoints);

/// Where the time of write_shard went.
struct ShardSeconds {
  double write = 0, sync = 0,
         hash = 0;  // tensors to the file; to the disk; what hashing took longer
};

/// Writes `tensors` to `shard-<writer>.h5` and syncs it. Returns a report in JSON (file, bytes and
/// hash, each tensor's dims and hash) that publish_checkpoint needs. @throws IoError.
std::string write_shard(const std::filesystem::path& temporary_directory, int writer,
                        std::span<const TensorView> tensors, ShardSeconds* seconds = nullptr);

/// Makes the shards in .tmp-step-<state.step> a checkpoint, and returns its directory. If a
/// checkpoint of this step exists (training went back and came here again), it is set aside first
/// and removed when the new one is in place. Rank 0 only, after all reports have arrived.
/// @throws CheckpointError if the reports do not fit together or the files; IoError.
std::filesystem::path publish_checkpoint(const std::filesystem::path& checkpoints,
                                         const TrainingState& state,
                                         std::span<const std::string> shard_reports);

/// A verified checkpoint. It keeps its shards open, so it should not outlive loading.
class Checkpoint {
 public:
  /// Verifies the manifest by its own hash, then every file by size and hash; then that the shards
  /// hold what the manifest lists and nothing else (hdf5_reader.h). Reads all bytes once.
  /// @throws CheckpointError (also for a missing file) naming the file and what is wrong with it.
  static Checkpoint open(const std::filesystem::path& directory);
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;
  ~Checkpoint();

  const std::filesystem::path& directory() const;
  const TrainingState& state() const;
  const std::vector<std::string>& names() const;  // sorted
  bool contains(const std::string& name) const;
  const std::vector<std::int64_t>& dims(const std::string& name) const;
  std::uint64_t bytes() const;  // of all files
  /// Reads the whole tensor, and compares its hash once more. @throws CheckpointError on a name
  /// that is not there, another number of elements, or values that changed since the checkpoint
  /// opened.
  void read(const std::string& name, std::span<float> values) const;

 private:
  struct Contents;
  explicit Checkpoint(std::unique_ptr<Contents> contents);
  std::unique_ptr<Contents> contents_;
};

struct NewestGood {
  std::optional<Checkpoint> checkpoint;  // none: nothing good there, start anew
  std::vector<std::string> rejected;     // newer ones that are bad: the message, naming the file
};

/// The newest checkpoint that verifies. A directory that does not exist has none.
NewestGood open_newest_good(const std::filesystem::path& checkpoints);

/// Steps of the published checkpoints, ascending, by name only.
std::vector<std::int64_t> list_checkpoints(const std::filesystem::path& checkpoints);

/// Keeps the newest `keep_newest` (at least 1) that verify, and `best_step`; removes what is older.
/// Bad ones newer than those stay, for the user to look at. When there is something to remove, it
/// reads the checkpoints that stay in full: run it beside training (CheckpointWriter::start_prune).
/// Returns the names removed.
std::vector<std::string> prune_checkpoints(const std::filesystem::path& checkpoints,
                                           int keep_newest, std::optional<std::int64_t> best_step);

}  // namespace lockstep
