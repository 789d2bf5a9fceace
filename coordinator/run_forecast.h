#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/engine_setup.h"
#include "coordinator/metrics.h"

namespace lockstep {

/// What was expected of a rank before it began to train. 0: nothing was.
struct Expected {
  // resident before the plan's memory was asked for, samples aside: program, MPI
  std::size_t base_bytes = 0;
  std::size_t planned_bytes = 0;
  double step_seconds = 0;     // without messages
  double waiting = 0;          // part of a step in which it waits for other stages, 0 to 1
  std::size_t step_bytes = 0;  // given to all-reduces and to other stages
};

/// Of a rank at `stage`.
Expected expect(const JobEngine& made, int stage);

struct Pair {
  double predicted = 0, measured = 0;  // predicted 0: was not
};

/// What was predicted of the first worker beside what came, like with like.
struct Comparison {
  std::size_t steps = 0;  // that were counted; 0: nothing else is set
  Pair memory;     // bytes: what was resident before and the plan's, and the most that was resident
  Pair computing;  // seconds of a step without waiting for sums over ranks
  Pair waiting;    // part of a step in which it waits for other stages, 0 to 1
  Pair sent;       // bytes given to all-reduces and other stages in a step
  double step_seconds = 0;  // the whole, without waiting for data
};

/// "predicted / measured: 367 / 371 MiB a rank; computing 95.1 / 99.8 ms of a step's 101.3"; empty: no steps.
std::string summary(const Comparison& comparison);

// in the run directory, of the newest start
inline constexpr const char* kForecastFile = "forecast.json";

/// One object of JSON for that file, and the lines that tell people of it.
std::string to_json(const Comparison& comparison);
/// @throws DataError if the text is not of to_json.
Comparison comparison_from_json(const std::string& text);
std::string details(const Comparison& comparison);

/// That beside what came. The first steps of a start, which touch memory for the first time, are not
/// counted.
class RunForecast {
 public:
  explicit RunForecast(const Expected& expected);

  void step(const StepMetrics& metrics);

  /// Both of each, medians of the steps that were counted; `planned_bytes`: of rank_memory().
  Comparison compare(std::size_t planned_bytes) const;

 private:
  Expected expected_;
  std::vector<double> seconds_, computing_, waiting_, bytes_;  // by step
  int skipped_ = 0;
};

/// Memory that this process has, and the most that it ever had, in bytes; 0 if the system does not tell.
std::size_t resident_bytes();
std::size_t peak_resident_bytes();

}  // namespace lockstep
