#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "data/checkpoint.h"
#include "layers/call.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// How a run was started, as only the program knows it.
struct RunStart {
  std::string job_text;      // the effective job, as a job file
  std::string command_line;  // words as the shell would need them
};

/// What a start of a run runs on.
struct RunEnvironment {
  std::vector<std::string> hosts;  // by rank
  std::vector<int> threads;        // by rank
  std::string mpi_library, instruction_set;
  std::string activations;  // "f32" or "bf16": what train.precision came to
  std::string cpu;          // model, of rank 0
  std::string started;      // UTC, ISO 8601
  std::string data = {};    // data_record(); "": not known
  std::string started_from =
      {};  // the checkpoint of another run that this one began with; or empty
};

/// Collective; rank 0 gets all of it. `threads` are this rank's.
RunEnvironment collect_environment(const Communicator& world, int threads, Storage activations);

/// Keeps a start in the run directory (rank 0): appends it to environment.json, a list of all
/// starts with the versions of everything. job.cfg is the newest start's job; where that changes,
/// the one before is kept as job-1.cfg, job-2.cfg and so on. @throws IoError.
void record_start(const std::filesystem::path& run_directory, const RunStart& start,
                  const RunEnvironment& environment);

/// For a run that is to begin anew: renames what is there of an older one, metrics.jsonl to
/// metrics-1.jsonl and checkpoints/ to checkpoints-1/ (or the next free number). Nothing is lost.
/// @throws IoError.
void set_aside_run(const std::filesystem::path& run_directory);

/// TrainingState::details: the job, the grid, versions, the instruction set and the activations.
std::string checkpoint_details(const RunStart& start, const RunEnvironment& environment);

/// What is different now, a sentence each: keys of the job, and what makes a resumed training not
/// bit-equal to one that was not interrupted. Details that are not understood differ in nothing.
std::vector<std::string> changes_since(const std::string& saved_details,
                                       const std::string& details);

/// Which seed counts from here on, where it is another one than the checkpoint's; else "".
std::string seed_change(const TrainingState& saved, std::uint64_t seed);

/// Of details: the checkpoint of another run that the run began with, or "".
std::string started_from(const std::string& details);

/// Of details: the job, as a job file; "" where they tell of none.
std::string recorded_job(const std::string& details);
/// Of details: "section.key" -> value of the job; empty where they tell of none.
std::map<std::string, std::string> recorded_keys(const std::string& details);

/// Of details: how many epochs the learning rate's curve was made for; 0: not known.
double curve_epochs(const std::string& details);

}  // namespace lockstep
