#pragma once
#include <string>

#include "worker/comm/communicator.h"

namespace lockstep {

/// All ranks take the lowest instruction set among them; before anything else uses oneDNN.
void agree_on_instruction_set(const Communicator& world);

/// Threads of a rank: `wanted`, else OMP_NUM_THREADS, else its share of the CPUs that it may use:
/// ranks of a node that are bound to the same ones share them. Collective.
int lanes_of_rank(int wanted, const Communicator& world);

/// The same where it is known how many ranks share this process's CPUs.
int lanes_of_rank(int wanted, int ranks_on_these_cpus);

/// Ranks of a node that may run on the same CPUs.
struct SharedCpus {
  int ranks = 1, cpus = 1;
};

/// What is slow about so many threads of each of them, and which flag mends it; empty: nothing is. That there
/// are more ranks than CPUs is preflight's to say.
std::string crowding(int threads, const SharedCpus& shared);

/// Warns of that, once for a group. Collective.
void warn_of_crowding(int threads, const Communicator& group);

}  // namespace lockstep
