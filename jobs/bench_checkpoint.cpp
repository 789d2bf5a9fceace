// lockstep bench checkpoint: how long a checkpoint of a job's model takes, beside a plain file.
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/bench/checkpoint_bench.h"
#include "coordinator/bench/saving_bench.h"
#include "data/error.h"
#include "data/timing.h"
#include "jobs/bench.h"
#include "jobs/job_file.h"
#include "jobs/plan_input.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

struct Request {
  std::string directory;  // empty: the job's run.directory
  int rounds = 5;
  double every = 0;  // seconds between checkpoints of the training beside them; 0: none
  bool json = false;
};

struct Result {
  int ranks = 1;
  std::uint64_t bytes = 0;
  std::vector<CheckpointSeconds> rounds;
  std::vector<SavingSeconds> beside;  // training steps

  template <typename Part>
  double ms(Part part) const {
    std::vector<double> values;
    for (const CheckpointSeconds& s : rounds) values.push_back(std::invoke(part, s) * 1e3);
    return median(std::move(values));
  }
  template <typename Part>
  double median_beside(Part part) const {
    std::vector<double> values;
    for (const SavingSeconds& s : beside) values.push_back(std::invoke(part, s));
    return median(std::move(values));
  }
  double mb_per_second(double milliseconds) const {
    return static_cast<double>(bytes) / 1e3 / milliseconds;
  }
  /// Of the two that went right after one another.
  double save_over_plain() const {
    std::vector<double> save, plain;
    for (const CheckpointSeconds& s : rounds) {
      save.push_back(s.save());
      plain.push_back(s.plain());
    }
    return median_ratio(save, plain);
  }
};

void measure_beside(const Job& job, const PlanInput& input, const Request& request,
                    const Communicator& world, Result& result) {
  SavingBench bench(job, input.input, input.classes, request.directory, world);
  for (int i = 0; i < request.rounds; ++i) result.beside.push_back(bench.run(request.every));
}

Result measure(const Job& job, const PlanInput& input, const Request& request,
               const Communicator& world) {
  const Graph graph = build_model(job.model, input.input, input.classes);
  CheckpointBench bench(graph, request.directory, world);
  Result result{.ranks = world.size(), .bytes = bench.bytes()};
  bench.run();  // memory and files for the first time
  for (int i = 0; i < request.rounds; ++i) result.rounds.push_back(bench.run());
  if (request.every > 0) measure_beside(job, input, request, world, result);
  return result;
}

void print_beside(const Request& request, const Result& r) {
  using S = SavingSeconds;
  const double steps = r.median_beside(&S::steps);
  std::cout << "steps that save every " << fixed(request.every, 1) << " s: stand still "
            << fixed(100 * r.median_beside(&S::blocked_share), 2) << "% of the time ("
            << fixed(1e3 * r.median_beside(&S::blocked), 1) << " ms a checkpoint), whole slowdown "
            << fixed(100 * r.median_beside(&S::slowdown), 2) << "%\n  a step "
            << fixed(1e3 * r.median_beside(&S::without) / steps, 1) << " ms without, "
            << fixed(1e3 * r.median_beside(&S::with) / steps, 1)
            << " ms with saving; checkpoint there after " << fixed(r.median_beside(&S::save), 2)
            << " s\n";
}

void print_text(const Request& request, const Result& r) {
  using S = CheckpointSeconds;
  const double save = r.ms(&S::save), plain = r.ms(&S::plain), verify = r.ms(&S::verify);
  const auto line = [&](const char* what, double milliseconds) {
    std::cout << "  " << what << std::string(12 - std::string(what).size(), ' ')
              << fixed(milliseconds, 2) << " ms\n";
  };
  std::cout << "checkpoint of " << fixed(static_cast<double>(r.bytes) / 1e6, 2) << " MB by "
            << r.ranks << " ranks in " << request.directory << ", medians of " << r.rounds.size()
            << "\n";
  line("snapshot", r.ms(&S::snapshot));
  line("write", r.ms(&S::write));
  line("fsync", r.ms(&S::sync));
  line("hash", r.ms(&S::hash));
  line("publish", r.ms(&S::publish));
  line("verify", verify);
  std::cout << "save (write to publish) " << fixed(save, 2) << " ms, "
            << fixed(r.mb_per_second(save), 1) << " MB/s; verify "
            << fixed(r.mb_per_second(verify), 1) << " MB/s\nplain file, write and fsync "
            << fixed(plain, 2) << " ms (" << fixed(r.ms(&S::plain_write), 2) << " + "
            << fixed(r.ms(&S::plain_sync), 2) << "), " << fixed(r.mb_per_second(plain), 1)
            << " MB/s; save / plain " << fixed(r.save_over_plain(), 2) << "\n";
  if (!r.beside.empty()) print_beside(request, r);
}

void print_json(const Result& r) {
  using S = CheckpointSeconds;
  const auto ms = [&](auto part) { return rounded(r.ms(part), 4); };
  nlohmann::ordered_json json{{"bench", "checkpoint"},
                              {"ranks", r.ranks},
                              {"bytes", r.bytes},
                              {"rounds", r.rounds.size()},
                              {"snapshot_ms", ms(&S::snapshot)},
                              {"write_ms", ms(&S::write)},
                              {"fsync_ms", ms(&S::sync)},
                              {"hash_ms", ms(&S::hash)},
                              {"publish_ms", ms(&S::publish)},
                              {"verify_ms", ms(&S::verify)},
                              {"save_ms", ms(&S::save)},
                              {"plain_ms", ms(&S::plain)},
                              {"save_mb_per_second", rounded(r.mb_per_second(r.ms(&S::save)), 2)},
                              {"plain_mb_per_second", rounded(r.mb_per_second(r.ms(&S::plain)), 2)},
                              {"save_over_plain", rounded(r.save_over_plain(), 4)}};
  if (!r.beside.empty()) {
    using B = SavingSeconds;
    json["blocked_share"] = rounded(r.median_beside(&B::blocked_share), 6);
    json["slowdown"] = rounded(r.median_beside(&B::slowdown), 6);
    json["beside_save_s"] = rounded(r.median_beside(&B::save), 4);
  }
  std::cout << json.dump() << "\n";
}

}  // namespace

int run_bench_checkpoint(std::span<const std::string> arguments) {
  Request request;
  CommandSyntax syntax{
      .usage = "bench checkpoint JOB.cfg [OPTIONS]",
      .about =
          "Saves and verifies checkpoints of a job's model as training does, and beside each "
          "writes a plain file of\nas many bytes to the same disk. Under a launcher all ranks "
          "share the writing. With --every it also trains, on made-up images that lie in memory, "
          "and tells\nwhat "
          "checkpoints cost the steps."};
  add_job_options(syntax);
  syntax.options.add_options()(
      "directory", po::value<std::string>(&request.directory)->value_name("DIR"),
      "Where; what is written is removed again. Default: the job's run.directory.")(
      "rounds", po::value<int>(&request.rounds)->value_name("N"), "How many. Default: 5.")(
      "every", po::value<double>(&request.every)->value_name("SECONDS"),
      "Each round trains for so long without saving, and then as many steps while one checkpoint "
      "is saved.");
  add_json_option(syntax, request.json);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (request.rounds < 1)
    throw ConfigError("lockstep bench checkpoint: --rounds must be at least 1");
  if (!(request.every >= 0))
    throw ConfigError("lockstep bench checkpoint: --every must not be negative");
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  const Job job = load_job(job_file->file, job_file->overrides);
  if (request.directory.empty()) request.directory = job.run.directory;
  const PlanInput input = plan_input(job);

  MpiSession mpi;
  check_bench_network();
  const Communicator world = Communicator::world();
  preflight_bench(world);
  const Result result = measure(job, input, request, world);
  if (world.rank() != 0) return 0;
  if (request.json)
    print_json(result);
  else
    print_text(request, result);
  return 0;
}

}  // namespace lockstep
