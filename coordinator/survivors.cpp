#include "coordinator/survivors.h"

#include <span>

#include "coordinator/recovery.h"
#include "data/host.h"
#include "worker/comm/mpi.h"

namespace lockstep {

Survivors::Survivors(const ParallelOptions& options)
    : options_(options),
      goes_on_(options.on_rank_lost == "shrink" && ulfm_is_on()),
      world_(Communicator::world()),
      wanted_(world_->size() - options.spares) {
  if (wanted_ < 1)
    throw ConfigError("parallel.spares = " + std::to_string(options.spares) + " of " +
                      std::to_string(world_->size()) + " ranks leaves none to train; start more");
  Member mine{.rank = world_->rank()};
  host_name().copy(mine.host.data(), mine.host.size() - 1);
  members_ = world_->all_gather_value(mine, "members");
}

int Survivors::training() const {
  if (losses_ == 0) return wanted_;  // the job says how many, and is told if that cannot be
  const int coordinators = options_.coordinator == "dedicated" ? 1 : 0;
  if (const auto ranks = ranks_to_train(world_->size(), wanted_, options_.stages, coordinators))
    return *ranks;
  throw CommError(
      std::to_string(world_->size()) + " ranks are left, too few for parallel.stages = " +
      std::to_string(options_.stages) + (coordinators ? " and a dedicated coordinator" : "") +
      ": start again, with parallel.spares to be safe from it");
}

bool Survivors::is_loss(const CommError& error) const {
  return goes_on_ && (dynamic_cast<const RankLostError*>(&error) || world_->has_lost());
}

void Survivors::tell(int word) const {
  if (goes_on_ || options_.spares > 0) world_->broadcast_value(word, 0, "word for spares");
}

int Survivors::wait_for_word() const {
  int word = 0;
  world_->broadcast_asleep(std::as_writable_bytes(std::span(&word, 1)), 0, "word for spares");
  return word;
}

std::string Survivors::come_together() {
  const Member mine = members_[static_cast<std::size_t>(world_->rank())];
  std::vector<Member> living;
  while (living.empty()) {
    wake();
    world_ = world_->survivors();
    try {
      living = world_->all_gather_value(mine, "members");
    } catch (const CommError& error) {
      if (!is_loss(error)) throw;
      wake();
    }
    if (!world_->agree(!living.empty())) living.clear();
  }
  ++losses_;
  std::string lost;
  std::size_t next = 0;  // both are in the order of ranks
  for (const Member& member : members_) {
    if (next < living.size() && living[next].rank == member.rank) {
      ++next;
      continue;
    }
    lost += (lost.empty() ? "" : ", ") + ("rank " + std::to_string(member.rank)) + " (" +
            member.host.data() + ")";
  }
  members_ = std::move(living);
  return lost;
}

}  // namespace lockstep
