#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// What a batch job asks Slurm for.
struct SlurmRequest {
  std::string name;
  int ranks = 1;
  int nodes = 0;  // 0: as Slurm places the ranks
  int threads = 1;
  std::int64_t mib_per_rank = 0;
  std::int64_t minutes = 0;
  std::filesystem::path program;          // lockstep, as all nodes see it
  std::filesystem::path log;              // appended to
  std::vector<std::string> sbatch_words;  // further options of sbatch: --partition=long
};

/// slurm/train.sbatch with these resources in place of its own.
std::string batch_script(const SlurmRequest& request);

/// Minutes of a time limit as Slurm writes it: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S; whole ones, rounded up. Nothing if it
/// is none, or of no time.
std::optional<std::int64_t> minutes_of_limit(const std::string& text);

/// Minutes to ask for: half as long again as predicted, and 5 for the start. A training that needs
/// longer goes back into the queue by itself.
std::int64_t minutes_to_ask_for(std::int64_t steps, double step_seconds);

/// Memory to ask for: a tenth more than planned, and 512 MiB for the program, MPI and oneDNN.
std::int64_t mib_to_ask_for(std::size_t planned_bytes);

}  // namespace lockstep
