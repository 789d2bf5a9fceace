#pragma once
#include <filesystem>
#include <string>

#include "coordinator/job.h"
#include "worker/comm/all_reduce_table.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// The text of the table that a run sums by, empty if the job names none:
/// parallel.all_reduce_table, or what a run that is resumed began with, since another choice could
/// change bits. Rank 0 reads; all get the same. @throws MissingFileError, IoError.
std::string table_text(const Job& job, const std::filesystem::path& run_directory,
                       const Communicator& world);

/// The same where there is one process, which plans.
std::string table_text(const Job& job, const std::filesystem::path& run_directory);

/// Its rows for a grid; warns if it has none, where `warns`. @throws ConfigError
AllReduceTable table_of(const Job& job, const std::string& text, const RankGrid& grid, bool warns);
/// For the ranks that train; rank 0 warns.
AllReduceTable table_of(const Job& job, const std::string& text, const Communicator& workers);

/// Keeps the text with the run (rank 0). @throws IoError
void record_table(const std::filesystem::path& run_directory, const std::string& text);

}  // namespace lockstep
