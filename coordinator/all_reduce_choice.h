#pragma once
#include <filesystem>
#include <string>

#include "coordinator/job.h"
#include "worker/comm/all_reduce.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// The text of the table that a run sums by, empty if the job names none:
/// parallel.all_reduce_table, or what a run that is resumed began with, since another choice could
/// change bits. Rank 0 reads; all get the same. @throws MissingFileError, IoError.
std::string table_text(const Job& job, const std::filesystem::path& run_directory,
                       const Communicator& world);

/// The same where there is one process, which plans.
std::string table_text(const Job& job, const std::filesystem::path& run_directory);

/// `options` as they suit ranks on so many nodes, with the table's rows for the `grid` of those that sum together;
/// where it has none, this warns if `warns`. @throws ConfigError
AllReduceOptions chosen_all_reduce(AllReduceOptions options, const Job& job,
                                   const std::string& table, int nodes, const RankGrid& grid,
                                   bool warns);
/// For the replicas of a job that runs; their rank 0 warns.
AllReduceOptions chosen_all_reduce(AllReduceOptions options, const Job& job,
                                   const std::string& table, const Communicator& world,
                                   const Communicator& replicas);

/// Keeps the text with the run (rank 0). @throws IoError
void record_table(const std::filesystem::path& run_directory, const std::string& text);

}  // namespace lockstep
