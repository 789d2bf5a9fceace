#pragma once
#include <cstdint>
#include <optional>

#include "worker/executor.h"

namespace lockstep {

/// What one step tells; loss and counts are over the whole group.
struct StepMetrics {
  std::int64_t step = 0;
  std::int64_t epoch = 0;  // counted from 0; people are told of it from 1
  double loss = 0;         // mean over the step's samples
  double accuracy = 0;     // of the training samples, 0 to 1
  double learning_rate = 0;
  double gradient_norm = 0;  // before clipping
  bool held = false;         // sick: nothing was updated
  std::int64_t samples = 0;
  double step_seconds = 0;  // wall clock, waiting for data included
  double data_seconds = 0;  // waiting for the loader
  StepTimes times;
};

struct ValidationMetrics {
  std::int64_t step = 0;
  std::int64_t epoch = 0;  // that are done
  std::int64_t samples = 0;
  double loss = 0, accuracy = 0, top5 = 0;
  std::optional<double> mean_iou;  // where every pixel has a label; then top5 is not counted

  /// What the best checkpoint has most of.
  double score() const { return mean_iou.value_or(accuracy); }
};

/// What verdicts on later steps depend on, of a step before them.
struct PastStep {
  double norm;  // of the gradient; NaN where it is not known
  bool held;
};

}  // namespace lockstep
