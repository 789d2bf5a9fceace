#pragma once
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job.h"
#include "data/error.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// The ranks of a job that live: the first of them train, the others wait to take a lost one's place. What each does
/// when a rank dies:
///   training   gets a RankLostError, wakes the others (wake()), keeps its state
///   spares     get one from their wait for the end
///   all        end_together(): no; come_together(): the living ranks, in their order, are the new world;
///              the first of them train (ranks_to_train()): a new Trainer, with what they have kept
/// and so again, if more die meanwhile.
class Survivors {
 public:
  /// Needs an MpiSession. Collective. @throws ConfigError if no rank is left to train.
  explicit Survivors(const ParallelOptions& options);

  const Communicator& world() const { return *world_; }
  /// The job wants to go on without lost ranks, and MPI can (ulfm_is_on()).
  bool go_on() const { return goes_on_; }
  int losses() const { return losses_; }

  /// The first so many ranks train. @throws CommError if those that are left are too few.
  int training() const;

  /// `error` means that a rank is lost, and go_on().
  bool is_loss(const CommError& error) const;
  /// All ranks that wait for this one get a RankLostError.
  void wake() const { world_->revoke(); }

  /// What all that train tell the spares, and these wait for: that they have begun, and the exit code at the end.
  void tell(int word) const;
  int wait_for_word() const;

  /// Whether all living ranks have finished. If not, all come_together().
  bool end_together(bool finished) const { return !goes_on_ || world_->agree(finished); }
  /// After that: a new world. Returns who was lost, for people, as "rank 3 (HOST)".
  std::string come_together();

 private:
  struct Member {  // as it was at the start
    int rank = 0;
    std::array<char, 256> host = {};
  };

  ParallelOptions options_;
  bool goes_on_;
  std::optional<Communicator> world_;
  int wanted_;  // ranks that train, if there are enough
  int losses_ = 0;
  std::vector<Member> members_;  // of the world, by rank
};

}  // namespace lockstep
