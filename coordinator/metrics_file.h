#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/run_observer.h"
#include "data/files.h"

namespace lockstep {

/// runs/NAME/metrics.jsonl: one JSON object a line. Lines after the step that training resumes from
/// are cut off, so that the file reads as if nothing had happened. Rank 0 only.
class MetricsFile : public RunObserver {
 public:
  /// Opens for appending; keeps the lines of steps up to `last_step` (all of them of step 0). `validated` false:
  /// without that step's validation, which is done again. The log tells of work that is lost.
  MetricsFile(std::filesystem::path path, std::int64_t last_step, bool validated = true);

  /// Of the lines that were kept; 0: none.
  std::int64_t last_step() const { return last_step_; }

  /// Steps that the lines tell of that were cut off: work that is done again.
  std::int64_t lost_steps() const { return lost_.steps; }

  /// The last 64 of the steps that were kept, oldest first: what StepHealth::remember() wants.
  std::span<const PastStep> past() const { return past_; }

  /// A line that cannot be written is lost; the log says so once.
  void on_step(const StepMetrics& metrics) override;
  void on_validation(const ValidationMetrics& metrics) override;
  void on_rollback(std::int64_t from, std::int64_t to) override;
  void sync() override;

 private:
  struct LostWork {
    std::int64_t steps = 0;
    double seconds = 0;
  };
  struct KeptLines {
    std::string text;
    std::int64_t last_step = 0;
  };

  void open(std::int64_t last_step, bool validated);
  KeptLines kept_lines(const std::string& text, std::int64_t last_step, bool validated);
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
