#pragma once
#include <optional>
#include <string>
#include <vector>

#include "coordinator/job_data.h"
#include "data/fingerprint.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// What the data of a run are, for its starts and checkpoints: fingerprints (data/fingerprint.h) as a JSON object, "train"
/// and, where the job validates, "val". Rank 0 finds out, from what it reads, and gives it to all. `known`: of before ranks were
/// lost, it need not find out again. Collective. @throws as fingerprint_of.
std::string data_record(const JobData& data, const Communicator& world,
                        const std::string& known = "");

/// Of TrainingState::details; "" where they tell nothing of the data.
std::string data_record_of(const std::string& details);

/// Of the training data in TrainingState::details; nothing where they tell nothing of them.
std::optional<DataFingerprint> training_fingerprint(const std::string& details);

/// In what the data differ, a phrase each: "training data: 54 samples, before 60". What only one record has is not compared.
std::vector<std::string> data_changes(const std::string& before, const std::string& now);

/// The same for one split that is at hand.
std::vector<std::string> split_changes(const std::string& before, const Dataset& split);

}  // namespace lockstep
