#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "coordinator/metrics.h"
#include "data/checkpoint.h"
#include "worker/comm/communicator.h"
#include "worker/memory.h"

namespace lockstep {

/// How many of `ranks` go on with a training after some were lost, and the rest wait as spares: as many as before
/// (`wanted`) where there are enough, and only whole replicas of `stages`. `coordinators`: 1 if the first only
/// coordinates. Nothing if there are too few.
std::optional<int> ranks_to_train(int ranks, int wanted, int stages, int coordinators);

/// How far the state is that a rank has brought along.
struct StateOffer {
  std::int64_t step = -1;     // -1: it has none
  bool finished = false;      // so is what comes after its update: validation, verdict, save
  std::int64_t reached = -1;  // the last step that it knows of, with or without a state
};

/// The lowest rank with the newest state; -1: nobody has one. Steps differ by one at most: all ranks meet at
/// the end of each.
int newest_state(std::span<const StateOffer> offers);

/// What a survivor of a replica has in memory: a whole state, of before or after a step.
struct CarriedState {
  TrainingState where;
  bool finished = true;           // so is what comes after the last step's update
  std::int64_t saving_step = -1;  // of the checkpoint that was being written; -1: none
  StepMetrics last;               // of the last step, which the metrics file may lack
  std::optional<ValidationMetrics> validation;  // the newest
  std::vector<float> parameters, slots, statistics;
};

/// Of a training that goes on after ranks were lost, on one rank.
struct Recovery {
  std::optional<CarriedState> mine;
  std::int64_t reached = -1;  // the last step that this rank knows of
  std::string lost;           // who, for people
  double noticed_s = 0;       // data/timing.h's clock
};

/// A copy of a state between two steps.
CarriedState carry(ModelState& state, const TrainingState& where);

/// Gives all ranks what `giver` has brought along: the tensors into `state`, the rest as the result (without
/// tensors). Collective.
CarriedState give(const Recovery& recovery, int giver, ModelState& state,
                  const Communicator& world);

}  // namespace lockstep
