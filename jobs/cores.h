#pragma once

namespace lockstep {

/// Physical cores on which this process may run (its affinity mask); hardware threads of one core
/// count once.
int usable_cores();

/// Of Slurm; 1 outside.
int nodes_of_allocation();

}  // namespace lockstep
