#pragma once
#include "coordinator/plan/schedule.h"

namespace lockstep {

/// Pass 5: gives every buffer of the arena its offset. Two buffers share memory if no barrier-free
/// stretch of the plan uses both. A buffer that lives inside one phase is transient: each lane keeps
/// one chunk of it, and inside a lane's own space the order of calls decides what may overlap.
/// The arena's size is exact: the executor allocates it once, and nothing else grows in a step.
Plan allocate(Schedule schedule);

}  // namespace lockstep
