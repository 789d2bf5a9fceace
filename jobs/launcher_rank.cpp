#include "jobs/launcher_rank.h"

#include <cstdlib>
#include <string_view>

#include "jobs/value_text.h"

namespace lockstep {
namespace {

std::optional<int> number_of(const char* variable) {
  const char* text = std::getenv(variable);
  int value = 0;
  if (!text || !read_value(std::string_view(text), value)) return std::nullopt;
  return value;
}

}  // namespace

std::optional<LauncherRank> launcher_rank() {
  // The shell of a batch script has SLURM_PROCID too; SLURM_STEP_NUM_TASKS is srun's alone.
  constexpr const char* kVariables[][2] = {{"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"},
                                           {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS"},
                                           {"PMI_RANK", "PMI_SIZE"}};
  for (const auto& [rank_name, size_name] : kVariables) {
    const auto rank = number_of(rank_name), size = number_of(size_name);
    if (rank && size) return LauncherRank{*rank, *size};
  }
  return std::nullopt;
}

}  // namespace lockstep
