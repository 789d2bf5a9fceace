#include "coordinator/plan/batches.h"

#include <cmath>

#include <algorithm>

namespace lockstep {

Positions step_positions(std::int64_t cursor, std::int64_t samples, std::int64_t batch) {
  return {cursor, std::min(cursor + batch, samples)};
}

Positions part_of(Positions whole, int index, int parts) {
  const std::int64_t n = whole.count();
  return {whole.begin + n * index / parts, whole.begin + n * (index + 1) / parts};
}

Positions micro_batch_positions(Positions step, int rank, int ranks, int micro, int micro_batches) {
  return part_of(part_of(step, rank, ranks), micro, micro_batches);
}

int largest_micro_batch(std::int64_t batch, int ranks, int micro_batches) {
  const std::int64_t rank_part = (batch + ranks - 1) / ranks;
  return static_cast<int>((rank_part + micro_batches - 1) / micro_batches);
}

std::int64_t steps_per_epoch(std::int64_t samples, std::int64_t batch) {
  return (samples + batch - 1) / batch;
}

std::int64_t steps_of_epochs(double epochs, std::int64_t samples, std::int64_t batch) {
  return static_cast<std::int64_t>(
      std::ceil(epochs * static_cast<double>(steps_per_epoch(samples, batch))));
}

}  // namespace lockstep
