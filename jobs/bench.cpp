// lockstep bench: how fast a part of lockstep is on this machine, beside what it could be.
#include "jobs/bench.h"

#include <spdlog/spdlog.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <iostream>

#include "coordinator/health/watchdog.h"
#include "data/error.h"
#include "data/spelling.h"
#include "jobs/commands.h"
#include "worker/comm/network_check.h"
#include "worker/comm/preflight.h"

namespace lockstep {

namespace {

struct Benchmark {
  const char* name;
  const char* about;
  int (*run)(std::span<const std::string> arguments);
};

constexpr Benchmark kBenchmarks[] = {
    {"step", "A job's training step on synthetic images, and where its time goes", run_bench_step},
    {"allreduce", "Our all-reduce beside MPI_Allreduce", run_bench_all_reduce},
    {"loader", "A job's loader alone, by threads", run_bench_loader},
    {"checkpoint", "A checkpoint of a job's model beside a plain file", run_bench_checkpoint},
};

void print_help() {
  std::cout << "Usage: lockstep bench WHAT [OPTIONS]   (lockstep bench WHAT --help tells more)\n\n";
  for (const Benchmark& benchmark : kBenchmarks)
    std::cout << "  " << benchmark.name << std::string(12 - std::string(benchmark.name).size(), ' ')
              << benchmark.about << "\n";
}

}  // namespace

void add_json_option(CommandSyntax& syntax, bool& json) {
  syntax.options.add_options()("json", boost::program_options::bool_switch(&json),
                               "Print the result as one line of JSON.");
}

void check_bench_network() {
  check_network({.directory = std::filesystem::current_path() / ("network-" + name_of_start())});
}

void preflight_bench(const Communicator& world) {
  for (const std::string& warning : preflight(world).warnings)
    if (world.rank() == 0) spdlog::warn("{}", warning);
}

std::string fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

double rounded(double value, int digits) {
  const double unit = std::pow(10.0, digits);
  return std::round(value * unit) / unit;
}

int run_bench(std::span<const std::string> arguments) {
  std::vector<std::string> names;
  for (const Benchmark& benchmark : kBenchmarks) names.push_back(benchmark.name);
  if (arguments.empty())
    throw ConfigError("lockstep bench: what? Use step, allreduce, loader or checkpoint");
  const std::string& name = arguments[0];
  if (name == "--help" || name == "-h") {
    print_help();
    return 0;
  }
  for (const Benchmark& benchmark : kBenchmarks)
    if (name == benchmark.name) return benchmark.run(arguments.subspan(1));
  throw ConfigError("lockstep bench: unknown benchmark '" + name + "'; did you mean '" +
                    nearest_word(name, names) + "'?");
}

}  // namespace lockstep
