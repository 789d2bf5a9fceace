// lockstep bench loader: how many samples a second a job's loader makes, by threads.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/bench/loader_bench.h"
#include "data/error.h"
#include "data/timing.h"
#include "jobs/bench.h"
#include "jobs/cores.h"
#include "jobs/job_file.h"
#include "jobs/value_text.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

constexpr int kRounds = 3;  // over all numbers of threads

struct Request {
  std::vector<int> threads;
  int steps = 20;
  double images_per_second = 0;  // of the step; 0: not said
  bool json = false;
};

/// Medians of the rounds.
struct Row {
  int threads = 1;
  double samples_per_second = 0, wait_ms = 0;
};

/// 1, 2, 4, ... up to the cores, and what the job says.
std::vector<int> usual_threads(const Job& job) {
  std::vector<int> threads{job.data.threads};
  for (int n = 1; n <= usable_cores(); n *= 2) threads.push_back(n);
  std::ranges::sort(threads);
  threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  return threads;
}

std::vector<Row> measure(const Job& job, const Request& request, const Communicator& world) {
  LoaderBench bench(job, request.steps, world);
  std::vector<std::vector<double>> rates(request.threads.size()), waits(request.threads.size());
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < request.threads.size(); ++i) {
      const LoaderSpeed speed = bench.run(request.threads[i], request.images_per_second);
      rates[i].push_back(speed.samples_per_second);
      waits[i].push_back(speed.wait_seconds * 1e3);
    }
  }
  std::vector<Row> rows;
  for (std::size_t i = 0; i < request.threads.size(); ++i)
    rows.push_back({request.threads[i], median(rates[i]), median(waits[i])});
  return rows;
}

void print_text(const Job& job, const Request& request, const std::vector<Row>& rows, int ranks) {
  const bool wanted = request.images_per_second > 0;
  std::cout << "source " << job.data.source << ", batch " << job.train.batch << ", " << ranks
            << " ranks, " << job.data.prefetch << " batches ahead; medians of " << kRounds
            << " rounds of " << request.steps << " steps\n";
  if (wanted)
    std::cout << "a step of " << fixed(1e3 * job.train.batch / request.images_per_second, 1)
              << " ms wants " << fixed(request.images_per_second, 1) << " samples/s\n";
  for (const Row& row : rows) {
    std::cout << row.threads << " threads a rank: " << fixed(row.samples_per_second, 1)
              << " samples/s";
    if (wanted)
      std::cout << ", " << fixed(row.samples_per_second / request.images_per_second, 2)
                << " x what the step wants; it waits " << fixed(row.wait_ms, 2) << " ms";
    std::cout << (row.threads == job.data.threads ? "   (the job's data.threads)\n" : "\n");
  }
}

void print_json(const Job& job, const Request& request, const std::vector<Row>& rows, int ranks) {
  const bool wanted = request.images_per_second > 0;
  nlohmann::ordered_json json{{"bench", "loader"},
                              {"source", job.data.source},
                              {"ranks", ranks},
                              {"batch", job.train.batch},
                              {"steps", request.steps}};
  if (wanted) json["wanted_per_second"] = request.images_per_second;
  for (const Row& row : rows) {
    nlohmann::ordered_json entry{{"threads", row.threads},
                                 {"samples_per_second", rounded(row.samples_per_second, 2)}};
    if (wanted) {
      entry["over_wanted"] = rounded(row.samples_per_second / request.images_per_second, 4);
      entry["step_waits_ms"] = rounded(row.wait_ms, 4);
    }
    json["rows"].push_back(std::move(entry));
  }
  std::cout << json.dump() << "\n";
}

CommandSyntax loader_syntax(Request& request, std::string& threads) {
  CommandSyntax syntax{
      .usage = "bench loader JOB.cfg [OPTIONS]",
      .about =
          "Samples a second of a job's loader alone, by threads: reading, decoding, augmenting. "
          "Files that fit into\nmemory come from there after the first round. Under a launcher all "
          "ranks load their parts together."};
  add_job_options(syntax);
  syntax.options.add_options()("threads", po::value<std::string>(&threads)->value_name("N,N,..."),
                               "Threads a rank. Default: 1, 2, 4, ... up to the cores.")(
      "steps", po::value<int>(&request.steps)->value_name("N"),
      "Batches of all ranks that are timed. Default: 20.")(
      "images-per-second", po::value<double>(&request.images_per_second)->value_name("X"),
      "What the step wants (see bench step). Batches are then also taken at this pace, asleep "
      "between them: what a step waits for the loader if that has cores of its own.");
  add_json_option(syntax, request.json);
  return syntax;
}

void check(const Request& request, const std::string& threads) {
  const auto valid = [](int n) { return n >= 1 && n <= 1024; };
  if (!threads.empty() && (request.threads.empty() || !std::ranges::all_of(request.threads, valid)))
    throw ConfigError("lockstep bench loader: --threads " + threads +
                      ": give numbers from 1 to 1024, as in 1,2,4");
  if (request.steps < 1) throw ConfigError("lockstep bench loader: --steps must be at least 1");
  if (request.images_per_second < 0)
    throw ConfigError("lockstep bench loader: --images-per-second must be above 0");
}

}  // namespace

int run_bench_loader(std::span<const std::string> arguments) {
  Request request;
  std::string threads;
  const CommandSyntax syntax = loader_syntax(request, threads);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (!read_value(threads, request.threads)) request.threads.clear();
  check(request, threads);
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  Job job = load_job(job_file->file, job_file->overrides);
  job.train.validate_every = 0;  // does not open the validation data
  job.train.early_stopping = 0;
  if (request.threads.empty()) request.threads = usual_threads(job);

  MpiSession mpi;
  check_bench_network();
  const Communicator world = Communicator::world();
  preflight_bench(world);
  const std::vector<Row> rows = measure(job, request, world);
  if (world.rank() != 0) return 0;
  if (request.json)
    print_json(job, request, rows, world.size());
  else
    print_text(job, request, rows, world.size());
  return 0;
}

}  // namespace lockstep
