#pragma once
#include <string>
#include <vector>

#include "coordinator/stages/pipeline_forecast.h"

namespace lockstep {

/// What cutting a chain of blocks into chunks needs to know of it; of one micro-batch of a rank.
struct ChainWeights {
  std::vector<std::string> names;   // by block
  std::vector<PartTimes> times;     // by block, seconds
  std::vector<double> kept_bytes;   // by block: from its forward to its backward
  std::vector<double> state_bytes;  // by block: parameters, gradients, optimizer slots
  std::vector<bool> joined;         // by block: runs in one piece with the block before it
  /// A value that other blocks read. It goes to every chunk that reads it once, and its gradient
  /// comes back once.
  struct Value {
    int made = 0;
    std::vector<int> readers;  // blocks after `made`, ascending
    double bytes = 0;
  };
  std::vector<Value> values;

  int size() const { return static_cast<int>(times.size()); }
};

/// Where chunks begin. Chunk c is of blocks first[c] to first[c+1] - 1.
struct Partition {
  std::vector<int> first;  // by chunk
  double best = 0;         // seconds of a micro-batch on the slowest stage, at best
};

struct PartitionOptions {
  int chunks = 1;
  std::vector<int> in_flight;   // by chunk: micro-batches held; empty: 1 each
  double stage_bytes = 0;       // what a stage may hold; 0: no limit
  double seconds_per_byte = 0;  // of values that a chunk receives and gradients it returns
  double slack = 0;             // part of the best time that may be given up for fewer bytes
};

/// The chunks whose slowest takes the least time: computing and receiving (exact: a dynamic program
/// over where each chunk begins). Of those, and of those slower by less than the slack, the ones
/// between which the fewest bytes go. With several chunks a stage (interleaved) each may hold its
/// part of stage_bytes.
/// @throws ConfigError if there are fewer blocks than chunks, or none fits; it says what would.
Partition partition(const ChainWeights& weights, const PartitionOptions& options,
                    int chunks_per_stage = 1);

/// The same for folded stages, c and 2S-1-c on stage c: the slowest pair takes the least time.
/// Values between the two cost nothing. Chains of more than 96 blocks are cut at every second,
/// third ... only.
Partition partition_folded(const ChainWeights& weights, const PartitionOptions& options);

/// Chunks that begin at blocks of these names, besides the first. @throws ConfigError for names
/// that are no blocks, out of order, or not as many as chunks need.
Partition partition_by_hand(const ChainWeights& weights, const std::vector<std::string>& cuts,
                            int chunks);

/// Bytes that chunk [first, last] of blocks receives in forward (as many gradients go back).
double received_bytes(const ChainWeights& weights, int first, int last);

}  // namespace lockstep
