#pragma once
#include "worker/comm/communicator.h"

namespace lockstep {

/// All ranks take the lowest instruction set among them; before anything else uses oneDNN.
void agree_on_instruction_set(const Communicator& world);

/// Threads of a rank: `wanted`, else OMP_NUM_THREADS, else its share of the CPUs that it may use:
/// ranks of a node that are bound to the same ones share them. Collective.
int lanes_of_rank(int wanted, const Communicator& world);

/// The same where it is known how many ranks share this process's CPUs.
int lanes_of_rank(int wanted, int ranks_on_these_cpus);

}  // namespace lockstep
