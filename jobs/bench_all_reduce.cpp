// lockstep bench allreduce: our all-reduce beside MPI_Allreduce, on all ranks that a launcher
// started.
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/files.h"
#include "jobs/bench.h"
#include "worker/comm/all_reduce_bench.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

struct Request {
  AllReduceBenchOptions bench;
  std::size_t from = 64, to = 256 << 20;  // bytes
  bool ring = false, bf16 = false, is_short = false, json = false;
  std::string table;  // a file to write
};

CommandSyntax syntax_of(Request& request) {
  CommandSyntax syntax{
      .usage = "bench allreduce [OPTIONS]",
      .about =
          "Sums floats of 64 B to 256 MiB, and doubles of the sizes of batch norm's sums, over all "
          "ranks:\nours and MPI_Allreduce in turns, each call on values that lie in memory and not "
          "in caches,\nmore than 16 KiB of floats where gradients lie: shared inside a "
          "node.\nStart it under lockstep launch -n N, mpirun or srun."};
  AllReduceOptions& ours = request.bench.ours;
  syntax.options.add_options()("short", po::bool_switch(&request.is_short),
                               "Few turns of few sizes: shows that it works, not how fast it is.")(
      "from", po::value<std::size_t>(&request.from)->value_name("BYTES"), "Smallest sum.")(
      "to", po::value<std::size_t>(&request.to)->value_name("BYTES"), "Largest sum.")(
      "hot", po::bool_switch(&request.bench.hot), "Every call on the same values, in the caches.")(
      "ring", po::bool_switch(&request.ring), "Ours by messages only, inside a node too.")(
      "bf16", po::bool_switch(&request.bf16),
      "With --ring: sums larger than 16 KiB travel as bf16, as gradients do with parallel.wire = "
      "bf16.")(
      "small", po::value<std::size_t>(&ours.small_bytes)->value_name("BYTES"),
      "Ours: small sums up to here: in one meeting inside a node (up to 16 KiB), by recursive "
      "doubling in messages.")(
      "segment", po::value<std::size_t>(&ours.segment_bytes)->value_name("BYTES"),
      "Ours: segments of the ring.")("window", po::value<int>(&ours.window)->value_name("N"),
                                     "Ours: segments under way in each direction, 1 to 8. Default: "
                                     "2 inside a node, 4 between nodes.");
  syntax.options.add_options()(
      "table", po::value<std::string>(&request.table)->value_name("FILE"),
      "Instead, time every algorithm on fewer sizes and write into FILE which is the fastest up to "
      "which size on so many ranks and nodes, for parallel.all_reduce_table. What FILE says of "
      "other "
      "numbers is kept.");
  add_json_option(syntax, request.json);
  return syntax;
}

void check(Request& request) {
  const std::string command = "lockstep bench allreduce: ";
  if (request.is_short) {
    request.to = std::min<std::size_t>(request.to, 1 << 20);
    request.bench.pool_bytes = 4 << 20;
    request.bench.turns = 3;
    request.bench.turn_bytes = 1 << 16;
  }
  if (request.from < sizeof(double) || request.from > request.to)
    throw ConfigError(command + "--from must be at least 8 and not above --to");
  if (request.bench.ours.window < 1 || request.bench.ours.window > 8)
    throw ConfigError(command + "--window must be 1 to 8");
  if (request.bench.ours.segment_bytes < sizeof(double))
    throw ConfigError(command + "--segment must be at least 8");
  if (!request.table.empty() && (request.ring || request.json))
    throw ConfigError(command + "--table goes with neither --ring nor --json");
  if (request.bf16 && !request.ring)
    throw ConfigError(command + "--bf16 goes with --ring only: in shared memory nothing travels");
  if (request.bf16) request.bench.ours.wire = Wire::kBf16;
  if (request.ring) request.bench.ours.algorithm = AllReduceAlgorithm::kRing;
}

/// Times one size after another, and tells each on rank 0 as soon as it is known.
class Series {
 public:
  Series(const Request& request, const Communicator& world)
      : request_(request),
        world_(world),
        memory_(memory_of(world, request.bench.memory_bytes(request.to), request.ring)) {}

  template <typename T>
  void run(const char* type, std::size_t from, std::size_t to, std::size_t factor) {
    if (prints_text())
      std::printf("%s\n%10s %12s %12s %10s  %s\n", type, "bytes", "ours us", "MPI us", "MPI / ours",
                  "95%");
    for (std::size_t bytes = from; bytes <= to; bytes *= factor) {
      if (bytes < request_.from || bytes > request_.to) continue;
      AllReduceBenchOptions options = request_.bench;
      if (bytes > (16 << 20)) options.turns = std::min(options.turns, 9);
      tell(type, bytes, time_all_reduce<T>(world_, bytes, memory_, options));
    }
  }

  const nlohmann::ordered_json& sizes() const { return sizes_; }

 private:
  static SharedMemory memory_of(const Communicator& world, std::size_t bytes, bool ring) {
    return ring ? SharedMemory(bytes) : SharedMemory(world, bytes, "bench");
  }
  bool prints_text() const { return world_.rank() == 0 && !request_.json; }

  void tell(const char* type, std::size_t bytes, const AllReduceSeconds& seconds) {
    const double ours = seconds.ours * 1e6, mpi = seconds.mpi * 1e6;
    if (prints_text()) {
      std::printf("%10zu %12.2f %12.2f %10.2f  %.2f to %.2f\n", bytes, ours, mpi, seconds.ratio,
                  seconds.interval.low, seconds.interval.high);
      std::fflush(stdout);
    }
    sizes_.push_back({{"type", type},
                      {"bytes", bytes},
                      {"ours_us", rounded(ours, 3)},
                      {"mpi_us", rounded(mpi, 3)},
                      {"mpi_over_ours", rounded(seconds.ratio, 4)},
                      {"low", rounded(seconds.interval.low, 4)},
                      {"high", rounded(seconds.interval.high, 4)}});
  }

  const Request& request_;
  const Communicator& world_;
  SharedMemory memory_;
  nlohmann::ordered_json sizes_ = nlohmann::ordered_json::array();
};

/// --table.
void write_table(const Request& request, const Communicator& world) {
  const SharedMemory memory(world, request.bench.memory_bytes(request.to), "bench");
  const bool speaks = world.rank() == 0;
  if (speaks) std::printf("%10s %10s  MPI / ours\n", "kind", "bytes");
  const auto speeds = time_methods(world, request.from, request.to, memory, request.bench,
                                   [&](const MethodSpeeds& size) {
                                     if (!speaks) return;
                                     std::printf("%10s %10zu", to_string(size.kind), size.bytes);
                                     for (const auto& [method, ratio] : size.mpi_over)
                                       std::printf("  %s %.2f", to_string(method), ratio);
                                     std::printf("  best: %s\n", to_string(size.best()));
                                     std::fflush(stdout);
                                   });
  if (!speaks) return;
  std::string text;
  if (std::filesystem::exists(request.table)) text = read_text_file(request.table, 1 << 20);
  write_file_durably(request.table,
                     with_table(text, {world.size(), world.nodes()}, table_of(speeds)));
  std::cout << "written: " << request.table << std::endl;
}

}  // namespace

int run_bench_all_reduce(std::span<const std::string> arguments) {
  Request request;
  const CommandSyntax syntax = syntax_of(request);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  check(request);

  MpiSession mpi;
  check_bench_network();
  const Communicator world = Communicator::world();
  if (world.size() < 2)
    throw ConfigError(
        "lockstep bench allreduce: one rank has nothing to sum; start it as: "
        "lockstep launch -n 2 bench allreduce");
  preflight_bench(world);
  if (values->count("window") == 0)
    request.bench.ours = fitted_to_nodes(request.bench.ours, world.nodes());
  if (world.rank() == 0 && !request.json)
    std::cout << world.size() << " ranks; medians of turns, of their slowest rank" << std::endl;
  if (!request.table.empty()) {
    write_table(request, world);
    return 0;
  }
  Series series(request, world);
  const std::size_t factor = request.is_short ? 16 : 4;
  series.run<double>("double", 128, 16 << 10, request.is_short ? 16 : 2);
  series.run<float>("float", 64, 256 << 20, factor);
  if (request.json && world.rank() == 0)
    std::cout << nlohmann::ordered_json{{"bench", "allreduce"},
                                        {"ranks", world.size()},
                                        {"sizes", series.sizes()}}
                     .dump()
              << "\n";
  return 0;
}

}  // namespace lockstep
