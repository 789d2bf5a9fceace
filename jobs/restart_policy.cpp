#include "jobs/restart_policy.h"

#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr int kBySignal = 128;

/// The program did it itself: an error that it reported, or a crash.
bool died_by_itself(int code) {
  switch (code - kBySignal) {
    case SIGSEGV:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
      return true;
    default:
      return code < kBySignal;
  }
}

bool is(int code, ExitCode wanted) { return code == static_cast<int>(wanted); }

/// What somebody has to mend, if the training has not even begun. Later it may be a file system that
/// comes and goes.
bool is_wrong_data(int code) {
  return is(code, ExitCode::kBadData) || is(code, ExitCode::kMissingFile);
}

}  // namespace

std::string describe_exit_code(int code) {
  if (code <= kBySignal || code >= kBySignal + NSIG) return "exit code " + std::to_string(code);
  const int signal = code - kBySignal;
  return "killed by signal " + std::to_string(signal) + " (" + strsignal(signal) + ")";
}

bool RestartPolicy::died_the_same_way(const Ending& ending) const {
  return died_by_itself(ending.exit_code) && ending.exit_code == last_.exit_code &&
         ending.reached.step == last_.reached.step && ending.words == last_.words;
}

RestartDecision RestartPolicy::after(const Ending& ending) {
  if (is(ending.exit_code, ExitCode::kDone) || is(ending.exit_code, ExitCode::kRequeue)) return {};
  const bool progress =
      ending.reached.step > best_.step || ending.reached.checkpoint > best_.checkpoint;
  progressed_ = progressed_ || progress;
  if (is(ending.exit_code, ExitCode::kUsage) || is(ending.exit_code, ExitCode::kDiverged) ||
      (is_wrong_data(ending.exit_code) && !progressed_))
    return {.why = "the same would happen again: not started again"};
  const bool same = died_the_same_way(ending);
  last_ = ending;
  best_ = {std::max(best_.step, ending.reached.step),
           std::max(best_.checkpoint, ending.reached.checkpoint)};
  if (same)
    return {.why = "it ended twice in the same way after step " +
                   std::to_string(ending.reached.step) + ": not started again"};
  failures_ = progress ? 0 : failures_ + 1;
  if (options_.most_failures == 0) return {.why = "not started again: --max-failures 0"};
  if (failures_ > options_.most_failures)
    return {.why = "more than " + std::to_string(options_.most_failures) +
                   " failures without progress: not started again"};
  if (progress) return {.restart = true, .why = "there was progress"};
  const double wait = options_.first_wait_s * std::exp2(failures_ - 2);
  return {.restart = true,
          .wait_s = failures_ == 1 ? 0 : std::min(options_.longest_wait_s, wait),
          .why = "failure " + std::to_string(failures_) + " of " +
                 std::to_string(options_.most_failures) + " without progress"};
}

}  // namespace lockstep
