#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "data/files.h"
#include "worker/executor.h"

namespace lockstep {

/// What one step tells; loss and counts are over the whole group.
struct StepMetrics {
  std::int64_t step = 0, epoch = 0;
  double loss = 0;      // mean over the step's samples
  double accuracy = 0;  // of the training samples, 0 to 1
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  bool held = false;         // sick: nothing was updated
  std::int64_t samples = 0;
  double step_seconds = 0;  // wall clock, waiting for data included
  double data_seconds = 0;  // waiting for the loader
  StepTimes times;
};

struct ValidationMetrics {
  std::int64_t step = 0, epoch = 0, samples = 0;
  double loss = 0, accuracy = 0, top5 = 0;
  std::optional<double> mean_iou;  // where every pixel has a label; then top5 is not counted

  /// What the best checkpoint has most of.
  double score() const { return mean_iou.value_or(accuracy); }
};

/// runs/NAME/metrics.jsonl: one JSON object a line. Lines after the step that training resumes from
/// are cut off, so that the file reads as if nothing had happened. Rank 0 only.
class MetricsFile {
 public:
  /// Opens for appending; keeps the lines of steps up to `last_step` (all of them of step 0). `validated` false:
  /// without that step's validation, which is done again.
  MetricsFile(std::filesystem::path path, std::int64_t last_step, bool validated = true);

  /// Of the lines that were kept; 0: none.
  std::int64_t last_step() const { return last_step_; }

  /// What the lines that were cut off tell: work that is done again.
  struct LostWork {
    std::int64_t steps = 0;
    double seconds = 0;
  };
  const LostWork& lost() const { return lost_; }

  /// The last 64 of the steps that were kept, oldest first: what StepHealth::remember() wants.
  struct PastStep {
    double norm;  // NaN where the line has no number
    bool held;
  };
  std::span<const PastStep> past() const { return past_; }

  /// A line that cannot be written is lost; the log says so once.
  void write(const StepMetrics& metrics);
  void write(const ValidationMetrics& metrics);
  /// Everything so far is on the disk when it returns; called before a checkpoint is published.
  void sync();

 private:
  void append(const std::string& line);
  void note_past(const std::string& lines);

  std::filesystem::path path_;
  std::optional<OpenFile> file_;
  std::uint64_t end_ = 0;  // of the lines that are whole
  bool failed_ = false;
  std::int64_t last_step_ = 0;
  std::vector<PastStep> past_;
  LostWork lost_;
};

}  // namespace lockstep
