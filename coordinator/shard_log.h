#pragma once
#include "coordinator/job_data.h"

namespace lockstep {

/// Says in the log how the data are shared among replicas, and what is wrong with their classes: what `lockstep data
/// check` says of them; the rest of it takes reading every sample. Rank 0.
void log_shards(const Job& job, const JobData& data, int replicas);

}  // namespace lockstep
