#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "worker/memory.h"

namespace lockstep {

/// What `train --fault` does to a rank, once in a run: for drills and tests.
enum class FaultKind {
  kKill,   // SIGKILL to itself
  kStop,   // SIGSTOP to itself: it hangs
  kSlow,   // every step takes twice as long from now on
  kFlip,   // one bit of a parameter
  kNan,    // one pixel is not a number
  kFull,   // files of this process cannot grow, until the next but one save
  kPin,    // at the start: bound to the first of its CPUs alone
  kAgain,  // SIGKILL to itself while the survivors of a lost rank come together; its step: for the how many-th time
};

struct Fault {
  FaultKind kind = FaultKind::kKill;
  int rank = 0;
  std::int64_t step = 1;  // the step, counted from 1, before which it comes
};

/// "KIND:RANK:STEP", as in kill:1:20. @throws ConfigError.
Fault parse_fault(const std::string& text);

/// Injects a fault into this process. A file in the run's directory remembers each, so that a restarted training
/// is spared. What it does goes to stderr.
class FaultInjector {
 public:
  /// `rank`: this process's at the start; others' faults are nothing to it.
  FaultInjector(std::vector<Fault> faults, std::filesystem::path run_directory, int rank);

  /// Before MPI is asked where ranks are bound.
  void at_start();
  /// `step`: the one that begins. `state`: null on a rank that computes nothing.
  void before_step(std::int64_t step, ModelState* state);
  /// Spoils the pixels of the step.
  void spoil(std::int64_t step, std::span<const float> pixels);
  void after_save();
  /// `losses`: how many times ranks were lost, with this one.
  void after_loss(int losses);

 private:
  bool comes(FaultKind kind, std::int64_t step);
  bool mark(const Fault& fault) const;
  void say(const std::string& what) const;
  void end_after_saying(const std::string& what, int signal) const;

  std::vector<Fault> faults_;  // this rank's
  std::filesystem::path run_directory_;
  int rank_;
  bool slow_ = false;
  double step_began_s_ = 0, step_took_s_ = 0;
  int full_saves_ = 0;  // until there is room again
};

}  // namespace lockstep
