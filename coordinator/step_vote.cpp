#include "coordinator/step_vote.h"

namespace lockstep {

StepVotes count(std::span<const StepVote> votes) {
  StepVotes all{.ranks = static_cast<int>(votes.size())};
  for (const StepVote& vote : votes) {
    all.stop += vote.stop;
    all.unhealthy += vote.unhealthy;
    all.written += vote.written;
    all.due += vote.due;
    all.asked += vote.asked;
  }
  return all;
}

}  // namespace lockstep
