#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace lockstep {

/// What a chain of blocks costs, for RecomputeSolver. Options are the same list for all blocks: each
/// forgets at least what the one before does. Option 0 forgets nothing.
struct ChainCosts {
  struct Option {
    std::size_t bytes = 0;  // kept inside the block, its outputs not counted
    double seconds = 0;     // replaying what is forgotten of them
    // kept of its outputs where the next block is of the same segment
    std::size_t output_bytes = 0;
    double output_seconds = 0;  // replaying them there
    std::size_t way_bytes = 0;  // forgotten inside, and made again on the way to the outputs
  };
  struct Block {
    std::size_t output_bytes = 0;  // the checkpoint after it
    double forward_seconds = 0;    // from the block's inputs to its outputs
    std::vector<Option> options;
  };
  std::vector<Block> blocks;

  /// What backward of a segment needs while it replays, besides what the option keeps.
  std::size_t replay_bytes(int first, int last, int option) const;
};

/// The least time of replays within memory, for chains of blocks.
///
/// OPT(s, t, m) is the least time to get from the outputs of block s-1, which are there, to the
/// gradients of its outputs, through blocks s to t, within m bytes:
///   a segment s..e is kept as option o says: its replays + OPT(e+1, t, m - what it keeps);
///   or only the outputs of block c-1 are kept: forward of s..c-1 + OPT(c, t, m - them) + OPT(s, c-1, m - them).
/// Blocks after one another in a segment share one checkpoint; with segments of one block and no
/// options but "all" this is Rotor (Beaumont et al. 2020, arXiv:1911.13214).
/// Memory is counted in slots, rounded up, so an answer never needs more than it was given.
class RecomputeSolver {
 public:
  /// @param capacity bytes that `slots` slots have together
  RecomputeSolver(ChainCosts costs, std::size_t capacity, int slots = 256);

  struct Decision {
    bool segment = true;  // else a checkpoint
    int end = 0;          // last block of the segment; or first block after the checkpoint
    int option = 0;
  };

  int slots() const { return slots_; }
  std::size_t slot_bytes() const { return slot_bytes_; }
  /// Seconds of replays; infinite if `slots` are too few.
  double seconds(int first, int last, int slots) const;
  Decision decision(int first, int last, int slots) const;
  /// What is left for the blocks after a segment, or on both sides of a checkpoint.
  int slots_after(int first, int last, int slots, const Decision& decision) const;

 private:
  struct Cell {
    float seconds;
    std::int16_t end;
    std::int8_t option;
    bool segment;
  };
  std::size_t index(int first, int last, int slots) const;
  int slots_of(std::size_t bytes) const;
  void solve(int first, int last);
  void try_segments(int first, int last);
  void try_checkpoints(int first, int last);

  ChainCosts costs_;
  int size_, slots_;
  std::size_t slot_bytes_;
  std::vector<Cell> cells_;
};

}  // namespace lockstep
