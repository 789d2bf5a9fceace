// lockstep plan: what a job would need and send, before it is submitted; starts no ranks.
#include <cstdio>
#include <iostream>

#include "coordinator/job_data.h"
#include "coordinator/plan/rank_plan.h"
#include "coordinator/plan/report_text.h"
#include "data/error.h"
#include "jobs/command_line.h"
#include "jobs/commands.h"
#include "jobs/job_file.h"
#include "jobs/plan_input.h"
#include "jobs/plan_stages.h"
#include "jobs/plan_verdict.h"
#include "layers/cpu/instruction_set.h"
#include "layers/model_table.h"

namespace lockstep {
namespace {

namespace po = boost::program_options;

std::string giga(double flops) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", flops / 1e9);
  return text;
}

const char* name_of(LayoutKind layout) {
  switch (layout) {
    case LayoutKind::kNhwc:
      return "nhwc";
    case LayoutKind::kBlocked8:
      return "blocked by 8";
    case LayoutKind::kBlocked16:
      return "blocked by 16";
  }
  return "";
}

/// The tables of a job whose ranks have the whole model.
class StepTables {
 public:
  StepTables(const Job& job, const PlanInput& in, const PlannedJob& planned)
      : job_(job),
        in_(in),
        needs_(planned.needs()),
        stage_(needs_.report.stages.front()),
        graph_(planned.graph()),
        options_(planned.options()) {}

  void print(TableDetail detail, bool with_phases) const {
    print_model(detail);
    print_ranks();
    print_memory();
    print_traffic();
    std::cout << machine_text(needs_.machine, needs_.measured, false);
    if (with_phases) print_phases();
  }

 private:
  void print_model(TableDetail detail) const {
    const ModelRow total = model_total(graph_);
    const double flops = total.cost.forward_flops + total.cost.backward_flops;
    std::cout << "model " << job_.model.family << " " << to_string(in_.input) << " -> "
              << in_.classes << " classes, layout " << name_of(options_.plan.layout)
              << (options_.plan.activations == Storage::kBf16
                      ? ", activations bf16 (moved MB: as f32)"
                      : "")
              << "\n"
              << model_table_text(graph_, detail) << "parameters  "
              << with_commas(static_cast<std::size_t>(total.parameters)) << "\nFLOPs       "
              << giga(flops) << " G an image (forward " << giga(total.cost.forward_flops)
              << " G, backward " << giga(total.cost.backward_flops) << " G), "
              << giga(flops * job_.train.batch) << " G a step of " << job_.train.batch
              << " images\n";
  }

  void print_ranks() const {
    std::cout << "\nranks " << needs_.replicas << " x " << needs_.threads << " threads, up to "
              << needs_.images * job_.train.micro_batches << " images a rank and step";
    if (job_.train.micro_batches > 1)
      std::cout << " in " << job_.train.micro_batches << " micro-batches";
    if (needs_.steps_per_epoch > 0)
      std::cout << ", " << needs_.steps_per_epoch << " steps an epoch";
    if (job_.parallel.coordinator == "dedicated") std::cout << "; one more rank coordinates";
    std::cout << "\n";
  }

  void print_memory() const {
    const bool scatters = job_.data.distribute == "scatter";
    std::cout << "\nmemory of a rank, bytes\n"
              << memory_text(stage_.memory)
              << "  (besides: the program, MPI and oneDNN's generated code"
              << (scatters ? ", samples on their way" : "") << ")\n"
              << machine_use_text(needs_.use);
  }

  void print_traffic() const {
    std::cout << "\nreduced over ranks in a step, bytes\n"
              << traffic_text(stage_.traffic, needs_.replicas, options_.all_reduce) << "  buckets:";
    for (std::size_t bytes : stage_.traffic.bucket_bytes) std::cout << "  " << in_units(bytes);
    std::cout << "\n";
  }

  void print_phases() const {
    std::cout << "\nphases and messages of a training step, for each micro-batch\n"
              << phases_text(plan_rank(graph_, options_).train, graph_);
  }

  const Job& job_;
  const PlanInput& in_;
  const PlannedNeeds& needs_;
  const StageReport& stage_;
  const Graph& graph_;
  const RankOptions& options_;
};

}  // namespace

int run_plan(std::span<const std::string> arguments) {
  int ranks = 1, threads = 0, nodes = 0;
  std::size_t memory_mib = 0;
  CommandSyntax syntax{.usage = "plan JOB.cfg [OPTIONS]",
                       .about =
                           "Shows what a job will need before it is submitted: the model's "
                           "layers, the memory of a rank\nto the byte, and what ranks send. "
                           "Starts no ranks; run it on a machine like theirs."};
  add_job_options(syntax);
  syntax.options.add_options()("ranks,n", po::value<int>(&ranks)->value_name("N"),
                               "How many ranks the job will have. Default: 1.")(
      "nodes", po::value<int>(&nodes)->value_name("N"),
      "Over how many machines like this one they are spread, whose memory they share. Default: 1, "
      "in an allocation of Slurm "
      "its nodes.")("threads", po::value<int>(&threads)->value_name("T"),
                    "Threads of each rank. Default: those of `lockstep launch -n N` here.")(
      "json", "Print the plan as one object of JSON, in bytes and seconds.")(
      "ops", "The model's table op by op instead of block by block.")(
      "phases", "Print the phases and messages of a training step.")(
      "auto",
      "Compare grids of replicas and stages, schedules, micro-batches and recomputation by "
      "predicted "
      "time, and say which fits best.")(
      "memory-per-rank", po::value<std::size_t>(&memory_mib)->value_name("MIB"),
      "auto: what a rank has. Default: memory.budget_mib, else its share of the machine.");
  const auto values = parse_command_line(syntax, arguments);
  if (!values) return 0;
  if (ranks < 1) throw ConfigError("lockstep plan: --ranks must be at least 1");
  if (values->count("nodes") && nodes < 1)
    throw ConfigError("lockstep plan: --nodes must be at least 1");
  if (values->count("threads") && threads < 1)
    throw ConfigError("lockstep plan: --threads must be at least 1");
  const auto job_file = job_arguments(*values);
  if (!job_file) return 0;
  const Job job = load_job(job_file->file, job_file->overrides);

  if (job.parallel.coordinator == "dedicated" && ranks < 2)
    throw ConfigError("parallel.coordinator = dedicated needs at least --ranks 2");
  for (const char* text : {"ops", "phases", "auto"})
    if (values->count(text) && values->count("json"))
      throw ConfigError("lockstep plan: --" + std::string(text) +
                        " is a text for people; leave it or --json out");
  for (const char* whole : {"ops", "phases"})
    if (values->count(whole) && (values->count("auto") || job.parallel.stages > 1))
      throw ConfigError(
          "lockstep plan: --" + std::string(whole) +
          " shows one rank that has the whole model; leave it out, or " +
          (values->count("auto") ? "leave out --auto" : "add --set parallel.stages=1"));
  cpu::use_instruction_set(cpu::usable_instruction_set());  // as train does
  const PlanInput in = plan_input(job);
  const int replicas =
      (ranks - (job.parallel.coordinator == "dedicated" ? 1 : 0)) / job.parallel.stages;
  if (!values->count("auto")) check_shares(job, in.train_samples, replicas);
  const PlanRequest request{.ranks = ranks,
                            .threads = threads,
                            .memory_per_rank = memory_mib << 20,
                            .machines = plan_machines(ranks, nodes)};
  if (values->count("auto")) {
    print_alternatives(job, in, request);
    return 0;
  }
  const PlannedJob planned(job, in, request);
  const PlannedNeeds& needs = planned.needs();
  warn_of_crowded_machine(needs.threads, request.machines);
  if (values->count("json")) {
    std::cout << plan_json(job, in, planned);
  } else {
    std::cout << verdict_text(needs) << "\n";
    if (job.parallel.stages > 1)
      print_stages(job, needs);
    else
      StepTables(job, in, planned)
          .print(values->count("ops") ? TableDetail::kOps : TableDetail::kBlocks,
                 values->count("phases") > 0);
  }
  judge_memory(job, needs.use,
               [&](std::size_t share_bytes) { return planned.would_fit(share_bytes); });
  return 0;
}

}  // namespace lockstep
