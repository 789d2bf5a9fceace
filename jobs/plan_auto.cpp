// lockstep plan --auto: which grid, cut, number of micro-batches and recomputation a job should have.
#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>
#include <optional>
#include <tuple>

#include "coordinator/overcommit.h"
#include "coordinator/plan/batches.h"
#include "coordinator/plan/report_text.h"
#include "coordinator/stages/pipeline_report.h"
#include "data/error.h"
#include "jobs/bench.h"
#include "jobs/plan_stages.h"
#include "jobs/plan_times.h"

namespace lockstep {
namespace {

/// One way to run the job. Times without recomputation are known at once; memory, and what
/// recomputation costs, only of those that could be the best.
struct Alternative {
  int stages = 1, micro_batches = 1;
  std::string schedule = "1f1b";
  bool fold = false;
  int images = 1;  // of a micro-batch
  PipelineChoice choice;
  OpTimes times;
  double seconds = 0;  // of a step; a lower bound until it is planned
  std::size_t bytes = 0;
  bool planned = false, recomputes = false;
  std::string refused;
};

class Search {
 public:
  Search(const Job& job, const PlanInput& in, const PlanRequest& request)
      : job_(job),
        base_(one_stage(job)),
        times_(base_, in, request.ranks, request.threads, request.machines.ranks),
        budget_(request.memory_per_rank ? request.memory_per_rank
                                        : static_cast<std::size_t>(job.memory.budget_mib) << 20),
        of_machine_(budget_ == 0 && job.memory.on_overcommit == "stop") {
    if (of_machine_) budget_ = rank_share(request.machines.bytes, request.machines.ranks);
    for (int stages = 1; stages <= times_.workers(); ++stages)
      if (times_.workers() % stages == 0) add_grid(stages);
    std::ranges::stable_sort(found_, {}, &Alternative::seconds);
  }

  /// Plans alternatives in the order of their lower bounds, until none can be faster than the best.
  void run() {
    for (Alternative& a : found_) {
      if (best_ && a.seconds >= best_->seconds) break;
      plan(a);
      if (a.refused.empty() && (!best_ || a.seconds < best_->seconds)) best_ = &a;
    }
  }

  void print() const;

 private:
  static Job one_stage(Job job) {
    job.parallel.stages = 1;
    job.parallel.cuts.clear();
    return job;
  }

  /// Micro-batches from the job's own to as many as there are images, doubling.
  void add_grid(int stages) {
    const int replicas = times_.workers() / stages;
    for (int micro = job_.train.micro_batches; micro * replicas <= job_.train.batch; micro *= 2) {
      if (stages == 1) {
        add(stages, micro, "1f1b", false);
        continue;
      }
      for (const char* schedule : {"1f1b", "zero-bubble", "interleaved:2"})
        add(stages, micro, schedule, false);
      if (job_.model.family != "unet") continue;
      for (const char* schedule : {"1f1b", "zero-bubble"}) add(stages, micro, schedule, true);
    }
  }

  void add(int stages, int micro_batches, const std::string& schedule, bool fold) {
    Alternative a{
        .stages = stages, .micro_batches = micro_batches, .schedule = schedule, .fold = fold};
    a.images = largest_micro_batch(job_.train.batch, times_.workers() / stages, micro_batches);
    a.times = times_of(a.images, times_.workers() / stages);
    const RankOptions& options = times_.options();
    const ChainWeights weights =
        chain_weights(times_.graph(), fuse(times_.graph()), options.plan.activations, a.images,
                      a.times, optimizer_rule(options.optimizer));
    PipelineOptions pipeline{.stages = stages,
                             .micro_batches = micro_batches,
                             .schedule = parse_pipeline_schedule(schedule, fold),
                             .cuts = {}};
    if (!of_machine_) pipeline.stage_bytes = static_cast<double>(budget_);
    try {
      a.choice = choose_pipeline(times_.graph(), weights, pipeline);
    } catch (const ConfigError&) {
      return;  // fewer blocks than chunks
    }
    RankOptions replica = options;
    replica.replicas = times_.workers() / stages;
    a.seconds = step_seconds(times_.graph(), replica, a.choice, a.choice.times);
    found_.push_back(std::move(a));
  }

  /// With what sums of batch norm over replicas take: two messages for each norm.
  OpTimes times_of(int images, int replicas) const {
    OpTimes times = times_.ops(images);
    const double latency = MachineModel{}.sum_seconds * std::ceil(std::log2(replicas));
    for (std::size_t op = 0; op < times.size(); ++op) {
      if (!job_.train.sync_bn || !times_.graph().ops()[op].traits().norm->of_batch()) continue;
      times[op].forward += latency;
      times[op].backward_data += latency;
    }
    return times;
  }

  /// As it is if that fits, else with recomputation.
  void plan(Alternative& a) {
    RankOptions options = times_.options();
    options.plan.max_images = a.images;
    options.replicas = times_.workers() / a.stages;
    options.micro_batches = a.micro_batches;
    options.memory.budget_bytes = budget_;
    options.memory.of_machine = of_machine_;
    options.memory.must_fit = true;
    options.memory.advises = false;
    options.memory.recompute = {};
    if (try_plan(a, options)) return;
    options.memory.recompute = {.kind = RecomputeKind::kAuto, .seconds = {}};
    a.recomputes = try_plan(a, options);
  }

  bool try_plan(Alternative& a, const RankOptions& options) {
    try {
      const PipelineReport report = report_pipeline(times_.graph(), options, a.choice, a.times);
      a.seconds = report.seconds;
      a.bytes = report.most_memory();
      a.planned = true;
      a.refused.clear();
      return true;
    } catch (const ConfigError& e) {
      a.refused = e.what();
      return false;
    }
  }

  /// Of every grid and schedule the number of micro-batches that suits it best.
  std::vector<const Alternative*> shown() const {
    std::map<std::tuple<int, std::string, bool>, const Alternative*> best;
    for (const Alternative& a : found_) {
      const Alternative*& of_kind = best[{a.stages, a.schedule, a.fold}];
      const bool better = !of_kind || (a.refused.empty() &&
                                       (!of_kind->refused.empty() || a.seconds < of_kind->seconds));
      if (better) of_kind = &a;
    }
    std::vector<const Alternative*> shown;
    for (const auto& [kind, a] : best) shown.push_back(a);
    std::ranges::stable_sort(
        shown, {}, [](const Alternative* a) { return std::pair(!a->refused.empty(), a->seconds); });
    return shown;
  }

  std::string verdict(const Alternative& a) const {
    if (&a == best_) return "best";
    if (!a.refused.empty()) return "does not fit, not with recomputation either";
    if (!best_) return "";
    const std::string slower = fixed(100 * (a.seconds / best_->seconds - 1), 1) + "% slower";
    return a.planned ? slower : slower + " even if it fits";
  }

  Job job_, base_;
  PlanTimes times_;
  std::size_t budget_;
  bool of_machine_;  // the budget is a share of the machine
  std::vector<Alternative> found_;
  const Alternative* best_ = nullptr;
};

void Search::print() const {
  std::cout << times_.workers() << " ranks x " << times_.options().plan.lanes << " threads, batch "
            << job_.train.batch << (budget_ ? ", " + in_units(budget_) + " a rank" : "")
            << (of_machine_ ? ", its share of a machine" : "") << "; times " << times_.origin()
            << "\n";
  std::vector<std::vector<std::string>> lines{{"replicas x stages", "schedule", "micro-batches",
                                               "recompute", "step ms", "bubble", "memory",
                                               "why not"}};
  for (const Alternative* a : shown())
    lines.push_back(
        {std::to_string(times_.workers() / a->stages) + " x " + std::to_string(a->stages),
         a->stages == 1 ? "-" : a->schedule + (a->fold ? " folded" : ""),
         std::to_string(a->micro_batches) + " of " + std::to_string(a->images),
         a->recomputes ? "auto" : "none", fixed(a->seconds * 1e3, 1),
         fixed(100 * forecast(a->choice.pipeline, a->choice.times).bubble(), 1) + "%",
         a->planned ? in_units(a->bytes) : "-", verdict(*a)});
  std::cout << columns(lines, 2);
  if (found_.empty())
    throw ConfigError("lockstep plan --auto: a batch of " + std::to_string(job_.train.batch) +
                      " and this model can be shared by no grid of " +
                      std::to_string(times_.workers()) +
                      " ranks; use fewer ranks, a number with small factors, or a larger batch");
  if (!best_)
    throw ConfigError("lockstep plan --auto: nothing fits into " + in_units(budget_) +
                      " a rank; the last reason: " + found_.back().refused);
  std::cout << "use  --set parallel.stages=" << best_->stages
            << " --set train.micro_batches=" << best_->micro_batches;
  if (best_->stages > 1) std::cout << " --set parallel.schedule=" << best_->schedule;
  if (best_->fold || job_.parallel.fold)
    std::cout << " --set parallel.fold=" << (best_->fold ? "on" : "off");
  if (!job_.parallel.cuts.empty()) std::cout << " --set parallel.cuts=";
  if (budget_ && !of_machine_) std::cout << " --set memory.budget_mib=" << (budget_ >> 20);
  std::cout << " --set memory.recompute=" << (best_->recomputes ? "auto" : "none")
            << "\n(batch norm's statistics are of each micro-batch, over the replicas)\n"
            << machine_text({}, times_.measured(), job_.train.sync_bn);
}

}  // namespace

void print_alternatives(const Job& job, const PlanInput& in, const PlanRequest& request) {
  Search search(job, in, request);
  search.run();
  search.print();
}

}  // namespace lockstep
