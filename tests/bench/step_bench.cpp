// One training step on synthetic pictures: milliseconds, and where they go. Alone or under mpirun.
//   step_bench [--depth 20] [--batch 128 of all ranks] [--steps 11] [--size 32] [--nhwc]
//   [--direct] [--profile]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/trainer.h"
#include "layers/layout.h"
#include "worker/comm/mpi.h"

namespace {

using namespace lockstep;

struct Arguments {
  int depth = 20, batch = 128, steps = 11, size = 32;
  bool profile = false, nhwc = false, winograd = true;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    auto value = [&] { return i + 1 < argc ? std::atoi(argv[++i]) : 0; };
    if (word == "--depth")
      a.depth = value();
    else if (word == "--batch")
      a.batch = value();
    else if (word == "--steps")
      a.steps = value();
    else if (word == "--size")
      a.size = value();
    else if (word == "--nhwc")
      a.nhwc = true;
    else if (word == "--direct")
      a.winograd = false;
    else if (word == "--profile")
      a.profile = true;
    else {
      std::fprintf(stderr, "step_bench: unknown option %s\n", word.c_str());
      std::exit(64);
    }
  }
  return a;
}

const char* kind_of(const Call& call) {
  switch (call.kind) {
    case CallKind::kForward:
      return "forward";
    case CallKind::kBackwardData:
      return "data gradient";
    case CallKind::kBackwardWeights:
      return "weight gradient";
    case CallKind::kFoldGradient:
      return "fold";
    case CallKind::kPackWeights:
    case CallKind::kPackWeightsBackward:
      return "pack";
    case CallKind::kStatistics:
      return "statistics";
    case CallKind::kBackwardSums:
      return "backward sums";
    case CallKind::kSum:
      return "sum";
    case CallKind::kUpdate:
    case CallKind::kGradientNorm:
      return "update";
    default:
      return "finish";
  }
}

/// Share of the kernels' time by op kind and pass.
void print_profile(Engine& engine, const std::vector<std::uint64_t>& warm_up) {
  std::map<std::string, double> by_kind;
  double total = 0;
  const auto ticks = engine.trainer().call_ticks();
  for (std::size_t c = 0; c < ticks.size(); ++c) {
    const Call& call = engine.train_plan().calls[c];
    const std::string op =
        call.op == kNone ? "" : kind_name(engine.graph().op(call.op).attributes) + " ";
    by_kind[op + kind_of(call)] += static_cast<double>(ticks[c] - warm_up[c]);
    total += static_cast<double>(ticks[c] - warm_up[c]);
  }
  for (const auto& [name, t] : by_kind)
    if (t / total > 0.002) std::printf("  %5.1f%%  %s\n", 100 * t / total, name.c_str());
}

void run(const Arguments& a) {
  const Communicator world = Communicator::world();
  agree_on_instruction_set(world);
  const bool photographs = a.size >= 64;
  Job job;
  job.model.depth = a.depth;
  job.train.batch = a.batch;
  Graph graph = build_model(job.model, {3, a.size, a.size}, photographs ? 1000 : 10);
  EngineOptions options = engine_options(job, graph, world.size(), lanes_of_rank(0, world));
  if (a.nhwc) options.layout = LayoutKind::kNhwc;
  options.winograd = a.winograd;
  Engine engine(std::move(graph), options, world);
  engine.state().initialize(1);
  const int images = options.max_images;
  std::mt19937 random(static_cast<unsigned>(world.rank()));
  std::normal_distribution<float> normal;
  std::vector<float> pixels(static_cast<std::size_t>(images) * 3u *
                            static_cast<std::size_t>(a.size * a.size));
  std::generate(pixels.begin(), pixels.end(), [&] { return normal(random); });
  std::vector<std::int32_t> labels(static_cast<std::size_t>(images));
  for (auto& l : labels) l = static_cast<std::int32_t>(random() % 10);
  std::vector<std::int64_t> positions(labels.size());
  std::iota(positions.begin(), positions.end(), std::int64_t{world.rank()} * images);
  engine.trainer().prepare(images);

  std::vector<double> seconds;
  std::vector<std::uint64_t> warm_up;  // ticks of steps that touch memory for the first time
  for (int s = 0; s < a.steps + 2; ++s) {
    if (s == 2) warm_up = engine.trainer().call_ticks();
    engine.trainer().run({.step = s,
                          .seed = 1,
                          .loss_divisor = static_cast<double>(a.batch),
                          .positions = positions,
                          .pixels = pixels.data(),
                          .labels = labels.data(),
                          .images = images,
                          .learning_rate = 0.1f});
    if (s >= 2) seconds.push_back(engine.trainer().times().total());
  }
  std::sort(seconds.begin(), seconds.end());
  if (world.rank() != 0) return;
  const double median = seconds[seconds.size() / 2];
  std::printf(
      "{\"model\": \"resnet%d\", \"ranks\": %d, \"threads\": %d, \"batch\": %d, "
      "\"step_ms\": %.1f, \"fastest_ms\": %.1f, \"images_per_second\": %.1f, \"arena_mib\": "
      "%.0f}\n",
      a.depth, world.size(), options.lanes, a.batch, median * 1e3, seconds[0] * 1e3,
      a.batch / median, static_cast<double>(engine.arena_bytes()) / (1 << 20));
  if (a.profile) print_profile(engine, warm_up);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  try {
    MpiSession mpi;
    run(arguments);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "step_bench: %s\n", e.what());
    MpiSession::abort(70);
  }
}
