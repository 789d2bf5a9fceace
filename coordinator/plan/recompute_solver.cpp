#include "coordinator/plan/recompute_solver.h"

#include <algorithm>
#include <limits>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

constexpr float kNever = std::numeric_limits<float>::infinity();
constexpr int kLongestSegment = 16;  // blocks: longer ones hold too much while they replay
}  // namespace

/// All forgotten outputs inside a segment come back together, with what they are made from; and the
/// insides of one block.
std::size_t ChainCosts::replay_bytes(int first, int last, int option) const {
  std::size_t outputs = 0, inside = 0;
  for (int b = first; b <= last; ++b) {
    const Block& block = blocks[at(b)];
    const Option &all = block.options.front(), &kept = block.options[at(option)];
    inside = std::max(inside, all.bytes - kept.bytes);
    if (b < last) outputs += all.output_bytes - kept.output_bytes + kept.way_bytes;
  }
  return outputs + inside;
}

RecomputeSolver::RecomputeSolver(ChainCosts costs, std::size_t capacity, int slots)
    : costs_(std::move(costs)),
      size_(static_cast<int>(costs_.blocks.size())),
      slots_(slots),
      slot_bytes_(std::max<std::size_t>(1, (capacity + at(slots) - 1) / at(slots))),
      cells_(at(size_) * at(size_) * at(slots + 1), Cell{kNever, 0, 0, true}) {
  for (int length = 1; length <= size_; ++length)
    for (int first = 0; first + length <= size_; ++first) solve(first, first + length - 1);
}

std::size_t RecomputeSolver::index(int first, int last, int slots) const {
  return (at(first) * at(size_) + at(last)) * at(slots_ + 1) + at(slots);
}

int RecomputeSolver::slots_of(std::size_t bytes) const {
  return static_cast<int>(
      std::min<std::size_t>((bytes + slot_bytes_ - 1) / slot_bytes_, at(slots_) + 1));
}

double RecomputeSolver::seconds(int first, int last, int slots) const {
  if (first > last) return 0;
  return slots < 0 ? kNever : cells_[index(first, last, slots)].seconds;
}

RecomputeSolver::Decision RecomputeSolver::decision(int first, int last, int slots) const {
  const Cell& cell = cells_[index(first, last, slots)];
  return {cell.segment, cell.end, cell.option};
}

void RecomputeSolver::solve(int first, int last) {
  try_segments(first, last);
  try_checkpoints(first, last);
}

void RecomputeSolver::try_segments(int first, int last) {
  const int options = static_cast<int>(costs_.blocks[at(first)].options.size());
  for (int option = 0; option < options; ++option) {
    std::size_t kept = 0;
    double seconds = 0;
    for (int end = first; end <= std::min(last, first + kLongestSegment - 1); ++end) {
      if (option == 0 && end > first) break;  // nothing is forgotten: the same as segments of one
      const ChainCosts::Block& block = costs_.blocks[at(end)];
      kept += block.options[at(option)].bytes;
      seconds += block.options[at(option)].seconds;
      if (end > first) {
        const ChainCosts::Option& before = costs_.blocks[at(end - 1)].options[at(option)];
        kept += before.output_bytes;
        seconds += before.output_seconds;
      }
      // The last block's outputs are in memory anyway: whoever asks for first..last holds them.
      const std::size_t output = end < last ? block.output_bytes : 0;
      const int after = slots_of(kept + output);
      const int least =
          std::max(after, slots_of(kept + output + costs_.replay_bytes(first, end, option)));
      for (int m = least; m <= slots_; ++m) {
        const auto total = static_cast<float>(seconds + this->seconds(end + 1, last, m - after));
        Cell& cell = cells_[index(first, last, m)];
        if (total < cell.seconds)
          cell = {total, static_cast<std::int16_t>(end), static_cast<std::int8_t>(option), true};
      }
    }
  }
}

void RecomputeSolver::try_checkpoints(int first, int last) {
  double forward = 0;
  for (int c = first + 1; c <= last; ++c) {
    const ChainCosts::Block& before = costs_.blocks[at(c - 1)];
    forward += before.forward_seconds;
    const int held = slots_of(before.output_bytes);
    for (int m = held; m <= slots_; ++m) {
      const auto total = static_cast<float>(forward + seconds(c, last, m - held) +
                                            seconds(first, c - 1, m - held));
      Cell& cell = cells_[index(first, last, m)];
      if (total < cell.seconds) cell = {total, static_cast<std::int16_t>(c), 0, false};
    }
  }
}

int RecomputeSolver::slots_after(int first, int last, int slots, const Decision& decision) const {
  if (!decision.segment) return slots - slots_of(costs_.blocks[at(decision.end - 1)].output_bytes);
  std::size_t kept = decision.end < last ? costs_.blocks[at(decision.end)].output_bytes : 0;
  for (int b = first; b <= decision.end; ++b) {
    const ChainCosts::Option& option = costs_.blocks[at(b)].options[at(decision.option)];
    kept += option.bytes + (b < decision.end ? option.output_bytes : 0);
  }
  return slots - slots_of(kept);
}

}  // namespace lockstep
