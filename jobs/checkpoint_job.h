#pragma once
#include <set>
#include <string>
#include <vector>

#include "coordinator/input_facts.h"
#include "jobs/job_file.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// The job that a checkpoint was made with, as far as it tells.
struct CheckpointJob {
  Job job;                      // keys that it does not tell have their defaults
  std::set<std::string> known;  // those that it tells
  std::string text;             // as it was recorded
  InputFacts facts;
};

/// Reads TrainingState::details. Keys that this version does not know are passed over.
CheckpointJob checkpoint_job(const std::string& details);

/// What differs from the defaults, a line each: "  section.key = value". `recorded`: the text that it was read from;
/// mean and std that were filled in there (with_input_facts) are nobody's keys, and left out.
std::string job_text_of(Job job, const std::string& recorded);

/// What a checkpoint is loaded for.
enum class CheckpointUse { kResume, kStartFrom, kEvaluate };

/// What was done to a job, for the log.
struct JobFit {
  std::vector<std::string> notes, warnings;
};

/// Logs it.
void tell(const JobFit& fit);

/// Makes a job fit a checkpoint that is to be loaded. What decides what the network computes (keys of [model], mean
/// and std, size of the input, resize) and is not said by the job becomes what the checkpoint has. Where the job
/// says otherwise, `checkpoint.on_changed` decides. What trains only (dropout, ...) stays the job's, but for
/// kEvaluate. `checkpoint` names it in messages, `details` are its TrainingState's.
/// @throws CheckpointError naming each such key, where it was said, and both values.
JobFit fit_to_checkpoint(SaidJob& said, const std::string& checkpoint, const std::string& details,
                         CheckpointUse use);

/// For train, before anything is built: fits the job to the checkpoint that the run will resume from or begin with, if
/// there is one. Rank 0 reads and logs. Collective.
void fit_to_run(SaidJob& said, const Communicator& world);

}  // namespace lockstep
