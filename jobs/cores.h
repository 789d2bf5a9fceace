#pragma once

namespace lockstep {

/// Physical cores on which this process may run (its affinity mask); hardware threads of one core
/// count once.
int usable_cores();

/// CPUs of the affinity mask: hardware threads count, each.
int usable_cpus();

/// Of Slurm; 1 outside.
int nodes_of_allocation();

/// How many of `ranks` mpirun starts on the first node: in an allocation of several nodes as many as it has tasks there.
int ranks_of_first_node(int ranks);

}  // namespace lockstep
