#pragma once
#include <cstdint>
#include <string>

namespace lockstep {

/// How far a run has come, by what lies in its directory.
struct RunProgress {
  std::int64_t step = 0;        // the last one in metrics.jsonl
  std::int64_t checkpoint = 0;  // the newest one's step; 0: none
};

/// How the ranks of a training ended, and where.
struct Ending {
  int exit_code = 0;  // 128 + signal where one ended a rank
  std::string words;  // the first error that a rank printed; empty: none did
  RunProgress reached;
};

struct RestartOptions {
  int most_failures = 5;  // one after the other, without progress; 0: never starts again
  double first_wait_s = 1, longest_wait_s = 60;
};

struct RestartDecision {
  bool restart = false;
  double wait_s = 0;  // before the restart
  std::string why;    // for people; empty where nothing failed
};

/// Decides whether a training that ended is started again. What bounds restarts is failures without
/// progress, not their number: a run that dies once an hour for a month is worth going on with. A
/// step or a checkpoint beyond all before is progress. Between failures without it the wait doubles.
///
/// It stops at once where the same would happen again: the job is wrong, or another one has the directory, training has diverged,
/// data are wrong before anything was trained, or the ranks ended twice at the same step with the same error (what was killed from
/// outside does not count as such).
class RestartPolicy {
 public:
  RestartPolicy(const RestartOptions& options, const RunProgress& at_start)
      : options_(options), best_(at_start) {}

  RestartDecision after(const Ending& ending);

 private:
  bool died_the_same_way(const Ending& ending) const;

  RestartOptions options_;
  RunProgress best_;
  Ending last_;
  bool progressed_ = false;
  int failures_ = 0;  // since the last progress
};

/// "killed by signal 9 (Killed)" or "exit code 70".
std::string describe_exit_code(int code);

}  // namespace lockstep
