#pragma once
#include "coordinator/health/fault.h"
#include "coordinator/health/watchdog.h"
#include "coordinator/job_data.h"
#include "coordinator/rank_model.h"
#include "coordinator/rank_place.h"
#include "coordinator/run_directory.h"
#include "coordinator/run_observer.h"

namespace lockstep {

/// What the parts of a training share on one rank. All of it outlives them.
struct RunContext {
  const Job& job;
  const RankPlace& place;
  const JobData& data;
  RankModel& model;
  RunDirectory& directory;
  Observers& observers;
  Watchdog& watchdog;
  FaultInjector& faults;  // injects what a drill wants
  double began_s;         // when this start of the job did, on data/timing.h's clock
};

}  // namespace lockstep
