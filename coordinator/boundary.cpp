#include "coordinator/boundary.h"

#include "worker/comm/mpi.h"

namespace lockstep {

/// One small collective a step.
StepVotes Boundary::vote(const HealthVerdict& verdict) {
  const StepVote mine{.stop = stop_ != 0,
                      .unhealthy = is_unhealthy(verdict),
                      .written = checkpoints_.written(),
                      .due = checkpoints_.due_by_clock(),
                      .asked = run_.directory.asked_to_stop()};
  return count(run_.place.world.all_gather_value(mine, "step boundary"));
}

Next Boundary::agree(const RunCourse& course) {
  const std::int64_t step = course.where.step, hash_every = run_.job.train.hash_every;
  run_.watchdog.enter(Activity::kCheckpoint, step);
  if (run_.job.parallel.on_rank_lost == "shrink" && run_.place.world.has_lost())
    throw RankLostError("a rank that no other waited for is lost, a spare perhaps");
  const HealthVerdict verdict = actions_.judge(course.last_step);
  checkpoints_.step_took(course.last_step.step_seconds);
  const StepVotes votes = vote(verdict);
  if (votes.all_written()) checkpoints_.publish();
  wish_ = votes.asked > 0  ? StopWish::kFile
          : votes.stop > 0 ? StopWish::kSignal
                           : StopWish::kNobody;
  run_.directory.check_lock();
  if (actions_.act_on(verdict, votes, course)) return Next::kRollBack;
  if (!is_unhealthy(verdict)) actions_.look(step);
  const bool saves = course.checkpoint_due() || votes.stops() || votes.due > 0;
  if (saves || (hash_every > 0 && step % hash_every == 0)) actions_.compare_parameters(step);
  if (saves) checkpoints_.save(course.where);
  return votes.stops() ? Next::kStop : Next::kGoOn;
}

}  // namespace lockstep
