#pragma once
#include <string>

#include "worker/comm/communicator.h"

namespace lockstep {

/// All ranks take the lowest instruction set among them; before anything else uses oneDNN.
void agree_on_instruction_set(const Communicator& world);

/// Ranks of a node that may run on the same CPUs.
struct SharedCpus {
  int ranks = 1, cpus = 1;
};

/// Who asks for how many threads; 0: does not.
struct ThreadRequest {
  int job = 0;     // parallel.threads
  int launch = 0;  // --threads of `lockstep launch`, which sets kThreadsVariable
  int openmp = 0;  // OMP_NUM_THREADS, which sites set for all programs
};
inline constexpr const char* kThreadsVariable = "LOCKSTEP_THREADS";

/// The environment's request, and the job's.
ThreadRequest thread_request(int job);

/// Threads of a rank: what the job, or `launch --threads`, asks for; else OMP_NUM_THREADS, but no more than the
/// rank's share of the CPUs; else that share.
int choose_threads(const ThreadRequest& request, const SharedCpus& shared);

/// That where OMP_NUM_THREADS was not taken; empty: it was.
std::string threads_not_taken(const ThreadRequest& request, const SharedCpus& shared);

/// The same for this rank; rank 0 warns where OMP_NUM_THREADS is not taken. Collective.
int lanes_of_rank(int wanted, const Communicator& world);

/// What is slow about so many threads of each of them, and which flag mends it; empty: nothing is. That there
/// are more ranks than CPUs is preflight's to say.
std::string crowding(int threads, const SharedCpus& shared);

/// Warns of that, once for a group. Collective.
void warn_of_crowding(int threads, const Communicator& group);

}  // namespace lockstep
