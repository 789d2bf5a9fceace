#include "coordinator/recovery.h"

#include <algorithm>

#include "coordinator/saver.h"

namespace lockstep {

std::optional<int> ranks_to_train(int ranks, int wanted, int stages, int coordinators) {
  int workers = std::min(ranks, wanted) - coordinators;
  workers -= workers % stages;
  if (workers < stages) return std::nullopt;
  return coordinators + workers;
}

int newest_state(std::span<const StateOffer> offers) {
  int newest = -1;
  for (std::size_t r = 0; r < offers.size(); ++r) {
    const StateOffer& offer = offers[r];
    if (offer.step < 0) continue;
    const StateOffer* best = newest < 0 ? nullptr : &offers[static_cast<std::size_t>(newest)];
    if (!best || offer.step > best->step ||
        (offer.step == best->step && offer.finished && !best->finished))
      newest = static_cast<int>(r);
  }
  return newest;
}

CarriedState carry(ModelState& state, const TrainingState& where) {
  const auto copy = [](std::span<float> values) {
    return std::vector<float>(values.begin(), values.end());
  };
  CarriedState carried;
  carried.where = where;
  carried.parameters = copy(state.parameters());
  carried.slots = copy(state.slots());
  carried.statistics = copy(state.statistics());
  return carried;
}

CarriedState give(const Recovery& recovery, int giver, ModelState& state,
                  const Communicator& world) {
  const bool gives = world.rank() == giver;
  const auto share = [&](const std::vector<float>& mine, std::span<float> values,
                         const char* name) {
    if (gives) std::ranges::copy(mine, values.begin());
    world.broadcast(std::as_writable_bytes(values), giver, name);
  };
  CarriedState given;
  if (gives) {
    given.where = recovery.mine->where;
    given.finished = recovery.mine->finished;
    given.saving_step = recovery.mine->saving_step;
    given.last = recovery.mine->last;
    given.validation = recovery.mine->validation;
  }
  const std::vector<float> none;
  const CarriedState* mine = gives ? &*recovery.mine : nullptr;
  share(mine ? mine->parameters : none, state.parameters(), "parameters");
  share(mine ? mine->slots : none, state.slots(), "optimizer slots");
  share(mine ? mine->statistics : none, state.statistics(), "statistics");
  given.where = share_training_state(given.where, giver, world);
  world.broadcast_value(given.finished, giver, "last step");
  world.broadcast_value(given.saving_step, giver, "last step");
  world.broadcast_value(given.last, giver, "last step");
  bool validated = given.validation.has_value();
  world.broadcast_value(validated, giver, "last validation");
  if (!validated) return given;
  if (!given.validation) given.validation.emplace();
  world.broadcast_value(*given.validation, giver, "last validation");
  return given;
}

}  // namespace lockstep
