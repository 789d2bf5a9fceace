#pragma once
#include <cstdint>

namespace lockstep {

/// Positions [begin, end) in an epoch's order.
struct Positions {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};

/// What a step covers: `batch` samples from `cursor` on, fewer at the end of the epoch.
Positions step_positions(std::int64_t cursor, std::int64_t samples, std::int64_t batch);

/// Part `index` of `parts`: contiguous, and even to within one sample. The parts of a step among
/// ranks, and of a rank among micro-batches.
Positions part_of(Positions whole, int index, int parts);

/// What rank `rank` of `ranks` does in micro-batch `micro` of `micro_batches` of a step.
Positions micro_batch_positions(Positions step, int rank, int ranks, int micro, int micro_batches);

/// The most images that any rank has in any micro-batch.
int largest_micro_batch(std::int64_t batch, int ranks, int micro_batches);

std::int64_t steps_per_epoch(std::int64_t samples, std::int64_t batch);
/// Of a training of so many epochs, which need not be whole ones.
std::int64_t steps_of_epochs(double epochs, std::int64_t samples, std::int64_t batch);

}  // namespace lockstep
