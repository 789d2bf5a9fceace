// lockstep bench step: a training step of a job on synthetic images, alone or on all ranks that a
// launcher started.
#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "coordinator/bench/step_bench.h"
#include "data/error.h"
#include "data/timing.h"
#include "jobs/bench.h"
#include "jobs/job_file.h"
#include "jobs/plan_input.h"
#include "layers/cpu/convolution_limit.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

struct Request {
  int steps = 11;
  bool primitives = false, no_reduce = false, predict = false, nhwc = false, json = false;
  std::vector<std::string> beside;  // KEY=VALUE, of the job that takes turns with this one
};

/// Seconds of every round: a step, then what it is compared with.
struct Result {
  int ranks = 1, threads = 1, replicas = 1;
  std::int64_t batch = 0;
  std::int64_t parameters = 0;
  std::size_t arena_bytes = 0;
  std::string precision;
  std::optional<PipelineChoice> pipeline;  // with stages
  double predicted = 0;
  std::size_t beside_arena_bytes = 0;
  std::vector<double> step, beside, without_reduce, primitives;
  std::vector<double> forward, data_gradient, weight_gradient;  // of the primitives
  std::map<std::string, int> layouts;                           // of the primitives
  // of thread 0 in a step
  std::vector<double> compute, sync_bn, reduce, pipeline_wait, barrier, update;
  std::map<std::string, double> profile;

  void add(const StepTimes& times) {
    compute.push_back(times.compute);
    sync_bn.push_back(times.sync_bn);
    reduce.push_back(times.reduce);
    pipeline_wait.push_back(times.pipeline);
    barrier.push_back(times.barrier);
    update.push_back(times.update);
  }
};

void measure_primitives(cpu::ConvolutionLimit& limit, const Communicator& world, Result& result) {
  world.barrier("primitives");
  const cpu::ConvolutionSeconds seconds = limit.measure();
  result.forward.push_back(seconds.forward);
  result.data_gradient.push_back(seconds.data_gradient);
  result.weight_gradient.push_back(seconds.weight_gradient);
  result.primitives.push_back(world.all_reduce(seconds.total(), ReduceOp::kMax, "primitives"));
}

/// What `make` makes; an error of the user tells in which of the two jobs it is.
template <class Make>
auto naming_side(const std::string& side, Make make) {
  try {
    return make();
  } catch (const ConfigError& error) {
    if (side.empty()) throw;
    throw ConfigError("lockstep bench step: " + side + ": " + error.what());
  }
}

/// The job with the keys of --beside. A budget that the job has for its recomputation is not the other one's, whose
/// recomputation differs: it would not be comparable, or not fit at all.
Job job_beside(const JobArguments& arguments, const std::vector<std::string>& beside) {
  const auto names = [&](std::string_view key) {
    return std::ranges::any_of(beside, [&](const std::string& setting) {
      return setting.starts_with(std::string(key) + "=");
    });
  };
  std::vector<std::string> overrides = arguments.overrides;
  if (names("memory.recompute") && !names("memory.budget_mib"))
    overrides.emplace_back("memory.budget_mib=0");
  overrides.insert(overrides.end(), beside.begin(), beside.end());
  return load_job(arguments.file, overrides);
}

/// Steps of a job, and what takes turns with them.
struct Benches {
  StepBench own;
  std::optional<StepBench> beside;

  Benches(const Job& job, const Job* other, const PlanInput& input, const Request& request,
          const Communicator& world)
      : own(naming_side(other ? "the job itself" : "", [&] {
          return StepBench(job, input.input, input.classes, world,
                           {.nhwc = request.nhwc,
                            .without_reduce = request.no_reduce,
                            .predict = request.predict});
        })) {
    if (!other) return;
    const PlanInput theirs = plan_input(*other);
    naming_side("the job of --beside", [&] {
      beside.emplace(*other, theirs.input, theirs.classes, world,
                     StepBench::Options{.nhwc = request.nhwc});
    });
  }
  void warm_up(bool without_reduce) {
    constexpr int kSteps = 2;  // that touch memory for the first time
    for (int i = 0; i < kSteps; ++i) {
      own.run();
      if (without_reduce) own.run_without_reduce();
      if (beside) beside->run();
    }
  }
};

/// `other` may be null.
Result measure(const Job& job, const Job* other, const PlanInput& input, const Request& request,
               const Communicator& world) {
  Benches benches(job, other, input, request, world);
  StepBench& bench = benches.own;
  benches.warm_up(request.no_reduce);
  std::optional<cpu::ConvolutionLimit> limit;
  if (request.primitives)
    limit.emplace(bench.graph(), bench.images(), bench.threads(), bench.activations());
  bench.start_profile();
  Result result{.ranks = world.size(),
                .threads = bench.threads(),
                .replicas = bench.replicas(),
                .batch = job.train.batch,
                .parameters = bench.graph().parameter_count(),
                .arena_bytes = bench.arena_bytes(),
                .precision = bench.activations() == Storage::kBf16 ? "bf16" : "f32",
                .pipeline = bench.pipeline() ? std::optional(*bench.pipeline()) : std::nullopt,
                .predicted = bench.predicted_seconds()};
  if (benches.beside) result.beside_arena_bytes = benches.beside->arena_bytes();
  for (int i = 0; i < request.steps; ++i) {
    result.step.push_back(bench.run());
    result.add(bench.times());
    if (benches.beside) result.beside.push_back(benches.beside->run());
    if (request.no_reduce) result.without_reduce.push_back(bench.run_without_reduce());
    if (limit) measure_primitives(*limit, world, result);
  }
  result.profile = bench.profile();
  if (limit) result.layouts = limit->layouts();
  return result;
}

double ms(const std::vector<double>& seconds) { return rounded(median(seconds) * 1e3, 4); }

/// ResNet-110, WRN-16-4, ...
std::string model_name(const Job& job) {
  std::string name = job.model.family;
  if (job.model.family != "custom") name += "-" + std::to_string(job.model.depth);
  if (job.model.widen > 1) name += "-" + std::to_string(job.model.widen);
  return name;
}

std::string schedule_name(const Job& job) {
  return job.parallel.schedule + (job.parallel.fold ? " folded" : "");
}

void print_primitives(const Result& r) {
  std::cout << "convolutions " << fixed(ms(r.primitives), 1) << " ms: oneDNN's " << r.precision
            << " primitives, hot, all " << r.batch / r.ranks << " images of a rank on its "
            << r.threads << " threads; step / convolutions "
            << fixed(median_ratio(r.step, r.primitives), 2) << "\n  forward "
            << fixed(ms(r.forward), 1) << " ms, data gradient " << fixed(ms(r.data_gradient), 1)
            << " ms, weight gradient " << fixed(ms(r.weight_gradient), 1) << " ms; fastest layout:";
  for (const auto& [layout, count] : r.layouts) std::cout << " " << layout << " " << count << " x";
  std::cout << "\n";
}

void print_pipeline(const Job& job, const Result& r) {
  std::cout << (r.replicas > 1 ? std::to_string(r.replicas) + " replicas of " : "")
            << describe(*r.pipeline, schedule_name(job)) << "\n  " << job.train.micro_batches
            << " micro-batches, ideal bubble " << fixed(100 * ideal_bubble(r.pipeline->pipeline), 1)
            << "% (all parts equally long); rank 0 waits " << fixed(ms(r.pipeline_wait), 1)
            << " ms of a step for other stages\n";
}

void print_text(const Job& job, const PlanInput& input, const Request& request, const Result& r) {
  const double step = median(r.step);
  std::cout << model_name(job) << " " << to_string(input.input) << ", batch " << r.batch << ", "
            << r.precision << ", " << r.ranks << " ranks x " << r.threads << " threads, medians of "
            << request.steps << "\nstep " << fixed(step * 1e3, 1) << " ms (fastest "
            << fixed(*std::min_element(r.step.begin(), r.step.end()) * 1e3, 1) << "), "
            << fixed(static_cast<double>(r.batch) / step, 1) << " images/s, arena "
            << (r.arena_bytes >> 20) << " MiB\n";
  if (r.pipeline) print_pipeline(job, r);
  if (request.predict)
    std::cout << "predicted " << fixed(r.predicted * 1e3, 1)
              << " ms without messages; measured / predicted " << fixed(step / r.predicted, 2)
              << "\n";
  if (!r.beside.empty()) {
    const Interval interval = median_interval(paired_ratios(r.step, r.beside));
    std::cout << "beside it " << fixed(ms(r.beside), 1) << " ms, arena "
              << (r.beside_arena_bytes >> 20) << " MiB; step / beside "
              << fixed(median_ratio(r.step, r.beside), 3) << " (95%: " << fixed(interval.low, 3)
              << " to " << fixed(interval.high, 3) << ")\n";
  }
  if (request.no_reduce)
    std::cout << "without the gradients' all-reduces " << fixed(ms(r.without_reduce), 1)
              << " ms; without / with " << fixed(median_ratio(r.without_reduce, r.step), 3) << "\n";
  if (request.primitives) print_primitives(r);
  std::cout << "thread 0 of rank 0, ms: computes " << fixed(ms(r.compute), 1)
            << ", sums of batch norm " << fixed(ms(r.sync_bn), 1) << ", waits for gradients "
            << fixed(ms(r.reduce), 1) << ", waits for other threads " << fixed(ms(r.barrier), 1)
            << ", updates " << fixed(ms(r.update), 1) << "\nkernels of rank 0:\n";
  for (const auto& [name, share] : r.profile)
    if (share > 0.002) {
      const std::string percent = fixed(100 * share, 1);
      std::cout << std::string(7 - std::min<std::size_t>(6, percent.size()), ' ') << percent
                << "%  " << name << "\n";
    }
}

void add_pipeline(const Job& job, const Result& r, nlohmann::ordered_json& json) {
  json["replicas"] = r.replicas;
  json["stages"] = r.pipeline->pipeline.stages;
  json["schedule"] = schedule_name(job);
  json["chunks_from"] = r.pipeline->begins;
  json["ideal_bubble"] = rounded(ideal_bubble(r.pipeline->pipeline), 4);
  json["expected_bubble"] = rounded(forecast(r.pipeline->pipeline, r.pipeline->times).bubble(), 4);
}

void print_json(const Job& job, const Request& request, const Result& r) {
  nlohmann::ordered_json json;
  json["bench"] = "step";
  json["model"] = model_name(job);
  json["ranks"] = r.ranks;
  json["threads"] = r.threads;
  json["batch"] = r.batch;
  json["micro_batches"] = job.train.micro_batches;
  json["precision"] = r.precision;
  json["parameters"] = r.parameters;
  json["steps"] = request.steps;
  json["step_ms"] = ms(r.step);
  json["fastest_ms"] = rounded(*std::min_element(r.step.begin(), r.step.end()) * 1e3, 4);
  json["images_per_second"] = rounded(static_cast<double>(r.batch) / median(r.step), 2);
  json["arena_mib"] = r.arena_bytes >> 20;
  if (request.predict) {
    json["predicted_ms"] = rounded(r.predicted * 1e3, 4);
    json["step_over_predicted"] = rounded(median(r.step) / r.predicted, 4);
  }
  if (!r.beside.empty()) {
    const std::vector<double> ratios = paired_ratios(r.step, r.beside);
    json["beside_ms"] = ms(r.beside);
    json["beside_arena_mib"] = r.beside_arena_bytes >> 20;
    json["step_over_beside"] = rounded(median(ratios), 4);
    json["low"] = rounded(median_interval(ratios).low, 4);
    json["high"] = rounded(median_interval(ratios).high, 4);
  }
  if (request.no_reduce) {
    json["no_reduce_ms"] = ms(r.without_reduce);
    json["no_reduce_ratio"] = rounded(median_ratio(r.without_reduce, r.step), 4);
  }
  if (request.primitives) {
    json["primitives_ms"] = ms(r.primitives);
    json["step_over_primitives"] = rounded(median_ratio(r.step, r.primitives), 4);
    json["primitives"] = {{"forward_ms", ms(r.forward)},
                          {"data_gradient_ms", ms(r.data_gradient)},
                          {"weight_gradient_ms", ms(r.weight_gradient)}};
    json["layouts"] = r.layouts;
  }
  if (r.pipeline) add_pipeline(job, r, json);
  json["thread0_ms"] = {{"compute", ms(r.compute)}, {"sync_bn", ms(r.sync_bn)},
                        {"reduce", ms(r.reduce)},   {"pipeline", ms(r.pipeline_wait)},
                        {"barrier", ms(r.barrier)}, {"update", ms(r.update)}};
  for (const auto& [name, share] : r.profile)
    if (share > 0.002) json["profile"][name] = rounded(share, 4);
  std::cout << json.dump() << "\n";
}

CommandSyntax step_syntax(Request& request) {
  CommandSyntax syntax{.usage = "bench step JOB.cfg [OPTIONS]",
                       .about =
                           "Times training steps of a job on synthetic images, and says where the "
                           "time goes. Start it alone,\nor under lockstep launch, mpirun or srun; "
                           "with parallel.stages above 1 on as many ranks, or a\nmultiple. "
                           "The job's data are only asked for their shape."};
  add_job_options(syntax);
  syntax.options.add_options()("steps", po::value<int>(&request.steps)->value_name("N"),
                               "How many are timed, after two that are not. Default: 11.")(
      "primitives", po::bool_switch(&request.primitives),
      "Also time oneDNN's convolutions of the net alone, hot, each in the layout that suits it "
      "best: "
      "the limit of a step that computes them directly. (Winograd's, train.winograd, multiply "
      "less.)")(
      "no-reduce", po::bool_switch(&request.no_reduce),
      "Also time steps without the gradients' all-reduces, in turns: what a step waits for them.")(
      "predict", po::bool_switch(&request.predict),
      "Also predict the step from a probe of its calls and from its plan.")(
      "beside",
      po::value<std::vector<std::string>>(&request.beside)->composing()->value_name("KEY=VALUE"),
      "Also time the job with this key changed, in turns, and print the ratio. May be repeated. "
      "With memory.recompute "
      "the job's memory.budget_mib counts on the other side only if it is named there, too.")(
      "nhwc", po::bool_switch(&request.nhwc), "Activations in nhwc, whatever this CPU likes best.");
  add_json_option(syntax, request.json);
  return syntax;
}

}  // namespace

int run_bench_step(std::span<const std::string> arguments) {
  Request request;
  const CommandSyntax syntax = step_syntax(request);
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (request.steps < 1) throw ConfigError("lockstep bench step: --steps must be at least 1");
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  const Job job = load_job(job_file->file, job_file->overrides);
  if (request.primitives && job.parallel.stages > 1)
    throw ConfigError(
        "lockstep bench step: --primitives times all convolutions of the net on every rank, and a "
        "stage runs some of them; leave it out, or add --set parallel.stages=1");
  const PlanInput input = plan_input(job);
  std::optional<Job> other;
  if (!request.beside.empty()) other = job_beside(*job_file, request.beside);

  MpiSession mpi;
  check_bench_network();
  const Communicator world = Communicator::world();
  preflight_bench(world);
  const Result result = measure(job, other ? &*other : nullptr, input, request, world);
  if (world.rank() != 0) return 0;
  if (request.json)
    print_json(job, request, result);
  else
    print_text(job, input, request, result);
  return 0;
}

}  // namespace lockstep
