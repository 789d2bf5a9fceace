#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/engine_setup.h"
#include "coordinator/metrics.h"

namespace lockstep {

/// What was expected of a rank before it began to train. 0: nothing was.
struct Expected {
  double step_seconds = 0;    // without messages
  double waiting = 0;         // part of a step in which it waits for other stages, 0 to 1
  std::size_t step_bytes = 0; // given to all-reduces and to other stages
};

/// Of a rank at `stage`, in a job of so many replicas and micro-batches.
Expected expect(const JobEngine& made, int stage, int replicas, int micro_batches);

/// That beside what came. The first steps of a start, which touch memory for the first time, are not
/// counted.
class RunForecast {
 public:
  explicit RunForecast(const Expected& expected);

  void step(const StepMetrics& metrics);

  /// "predicted / measured: memory 310 / 345 MiB; step 95.1 / 101.3 ms (median of 460 steps); ...";
  /// empty if no step was counted. `planned_bytes`: of rank_memory().
  std::string text(std::size_t planned_bytes) const;

 private:
  Expected expected_;
  std::vector<double> seconds_, waiting_, bytes_;  // by step
  int skipped_ = 0;
};

/// Most memory that this process ever had, in bytes; 0 if the system does not tell.
std::size_t peak_resident_bytes();

}  // namespace lockstep
