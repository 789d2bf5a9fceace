#include "coordinator/recovery.h"

#include <algorithm>
#include <type_traits>

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
    if (!best || offer.step > best->step || (offer.step == best->step && offer.validated && !best->validated))
      newest = static_cast<int>(r);
  }
  return newest;
}

CarriedState carry(ModelState& state, const TrainingState& where, bool validated, const StepMetrics& last) {
  const auto copy = [](std::span<float> values) { return std::vector<float>(values.begin(), values.end()); };
  return {where, validated, last, copy(state.parameters()), copy(state.momentum()), copy(state.statistics())};
}

CarriedState give(const Recovery& recovery, int giver, ModelState& state, const Communicator& world) {
  const bool gives = world.rank() == giver;
  const auto share = [&](const std::vector<float>& mine, std::span<float> values, const char* name) {
    if (gives) std::ranges::copy(mine, values.begin());
    world.broadcast(std::as_writable_bytes(values), giver, name);
  };
  CarriedState given;
  if (gives) {
    given.where = recovery.mine->where;
    given.validated = recovery.mine->validated;
    given.last = recovery.mine->last;
  }
  const std::vector<float> none;
  const CarriedState* mine = gives ? &*recovery.mine : nullptr;
  share(mine ? mine->parameters : none, state.parameters(), "parameters");
  share(mine ? mine->momentum : none, state.momentum(), "momentum");
  share(mine ? mine->statistics : none, state.statistics(), "statistics");
  given.where = share_training_state(given.where, giver, world);
  static_assert(std::is_trivially_copyable_v<StepMetrics>);
  world.broadcast_value(given.validated, giver, "validated");
  world.broadcast_value(given.last, giver, "last step");
  return given;
}

}  // namespace lockstep
