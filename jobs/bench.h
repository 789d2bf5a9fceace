#pragma once
#include <span>
#include <string>
#include <vector>

#include "jobs/command_line.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// The benchmarks, each in jobs/bench_NAME.cpp. They time on all ranks and print on rank 0: text
/// for people or, with --json, one line of JSON.
int run_bench_step(std::span<const std::string> arguments);
int run_bench_all_reduce(std::span<const std::string> arguments);
int run_bench_loader(std::span<const std::string> arguments);
int run_bench_checkpoint(std::span<const std::string> arguments);

/// Adds --json.
void add_json_option(CommandSyntax& syntax, bool& json);

/// Whether the ranks hear each other (check_network()); before any Communicator is made.
void check_bench_network();

/// Looks whether the ranks fit together, as before training; rank 0 warns.
void preflight_bench(const Communicator& world);

/// "12.3" with `digits` after the point.
std::string fixed(double value, int digits);

/// For JSON: no more digits than are worth reading.
double rounded(double value, int digits);

}  // namespace lockstep
