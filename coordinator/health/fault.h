#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

#include "worker/memory.h"

namespace lockstep {

/// What `train --fault` does to a rank, once in a run: for drills and tests.
enum class FaultKind {
  kKill,  // SIGKILL to itself
  kStop,  // SIGSTOP to itself: it hangs
  kSlow,  // every step takes twice as long from now on
  kFlip,  // one bit of a parameter
  kNan,   // one pixel is not a number
  kFull,  // files of this process cannot grow, until the next but one save
  kPin,   // at the start: bound to the first of its CPUs alone
};

struct Fault {
  FaultKind kind = FaultKind::kKill;
  int rank = 0;
  std::int64_t step = 1;  // the step, counted from 1, before which it comes
};

/// "KIND:RANK:STEP", as in kill:1:20. @throws ConfigError.
Fault parse_fault(const std::string& text);

/// Injects a fault into this process. A file in the run's directory remembers it, so that a restarted training
/// is spared. What it does goes to stderr.
class FaultInjector {
 public:
  FaultInjector(const std::optional<Fault>& fault, std::filesystem::path run_directory, int rank);

  /// Before MPI is asked where ranks are bound.
  void at_start();
  /// `step`: the one that begins. `state`: null on a rank that computes nothing.
  void before_step(std::int64_t step, ModelState* state);
  /// Spoils the pixels of the step.
  void spoil(std::int64_t step, std::span<const float> pixels);
  void after_save();

 private:
  bool comes(FaultKind kind, std::int64_t step);
  void say(const std::string& what) const;

  std::optional<Fault> fault_;  // nothing: another rank's
  std::filesystem::path marker_;
  int rank_;
  bool slow_ = false;
  double step_began_s_ = 0, step_took_s_ = 0;
  int full_saves_ = 0;  // until there is room again
};

}  // namespace lockstep
