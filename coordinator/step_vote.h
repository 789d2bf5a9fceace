#pragma once
#include <span>

namespace lockstep {

/// What a rank says at the boundary of a step, to all others.
struct StepVote {
  bool stop = false;       // a signal has asked it to stop
  bool unhealthy = false;  // it finds the step so, and more than a warning is due
  bool written = false;    // its part of a checkpoint is on the disk, or none is under way
  bool due = false;        // rank 0: a checkpoint is, by the clock
  bool asked = false;      // rank 0: the file `stop` is there
};

/// What all of them come to. Signals reach ranks at different times, and may reach some only; one rank's memory may
/// be damaged: so each says what it knows, and all do what the votes together say.
struct StepVotes {
  int ranks = 0;
  int stop = 0, unhealthy = 0, written = 0, due = 0, asked = 0;  // ranks that say so

  bool all_written() const { return written == ranks; }
  bool stops() const { return stop > 0 || asked > 0; }
  /// Ranks that have computed the same have come to different verdicts.
  bool disagree() const { return unhealthy > 0 && unhealthy < ranks; }
};

StepVotes count(std::span<const StepVote> votes);

}  // namespace lockstep
