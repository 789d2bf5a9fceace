#include "coordinator/all_reduce_choice.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {

namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMostBytes = 1 << 20;

fs::path record_of(const fs::path& run_directory) { return run_directory / "all_reduce.table"; }

/// The run has begun before, and goes on.
bool resumes(const Job& job, const fs::path& run_directory) {
  std::error_code error;
  return job.run.resume && !run_directory.empty() && fs::exists(record_of(run_directory), error) &&
         !fs::is_empty(run_directory / "checkpoints", error) && !error;
}

std::string read_for(const Job& job, const fs::path& run_directory) {
  const fs::path named = job.parallel.all_reduce_table;
  if (!resumes(job, run_directory)) return read_text_file(named, kMostBytes);
  std::string text = read_text_file(record_of(run_directory), kMostBytes);
  std::error_code error;
  if (!fs::exists(named, error) || read_text_file(named, kMostBytes) != text)
    spdlog::warn("{} has changed: the run goes on with the table that it began with, {}",
                 named.string(), record_of(run_directory).string());
  return text;
}

}  // namespace

std::string table_text(const Job& job, const fs::path& run_directory, const Communicator& world) {
  std::string text;
  if (job.parallel.all_reduce_table.empty()) return text;
  if (world.rank() == 0) text = read_for(job, run_directory);
  world.broadcast(text, 0, "all-reduce table");
  return text;
}

std::string table_text(const Job& job, const fs::path& run_directory) {
  return job.parallel.all_reduce_table.empty() ? "" : read_for(job, run_directory);
}

AllReduceOptions chosen_all_reduce(AllReduceOptions options, const Job& job,
                                   const std::string& table, int nodes, const RankGrid& grid,
                                   bool warns) {
  options = fitted_to_nodes(std::move(options), nodes);
  options.table = read_table(table, grid, job.parallel.all_reduce_table);
  if (!table.empty() && options.table.rows.empty() && grid.ranks > 1 && warns)
    spdlog::warn(
        "{} has no lines for {} ranks on {} nodes: the built-in choice is used; measure it "
        "with lockstep bench allreduce --table on as many",
        job.parallel.all_reduce_table, grid.ranks, grid.nodes);
  return options;
}

AllReduceOptions chosen_all_reduce(AllReduceOptions options, const Job& job,
                                   const std::string& table, const Communicator& world,
                                   const Communicator& replicas) {
  return chosen_all_reduce(std::move(options), job, table, world.nodes(),
                           {replicas.size(), replicas.nodes()}, replicas.rank() == 0);
}

void record_table(const fs::path& run_directory, const std::string& text) {
  const fs::path file = record_of(run_directory);
  if (!text.empty()) return write_file_durably(file, text);
  std::error_code error;
  fs::remove(file, error);
}

}  // namespace lockstep
