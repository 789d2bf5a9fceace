#include "coordinator/rank_model.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/engine_setup.h"
#include "coordinator/machine_memory.h"
#include "coordinator/rank_cpus.h"
#include "coordinator/stages/stage_setup.h"
#include "data/error.h"
#include "data/files.h"
#include "layers/cpu/instruction_set.h"
#include "layers/layout.h"
#include "layers/model_doubts.h"

namespace lockstep {

RankModel::RankModel(const Job& job, JobData& data, const RankPlace& place,
                     const std::filesystem::path& run_directory)
    : job_(job), place_(place) {
  agree_on_instruction_set(place.world);
  Graph graph = build_model(job.model, data.input, data.classes);
  if (place.first())
    for (const std::string& doubt : model_doubts(job.model, graph)) spdlog::warn("{}", doubt);
  const RankOptions options = make_options(data, graph, run_directory);
  lanes_ = options.plan.lanes;
  activations_ = options.plan.activations;
  data.augment.planar = planar_input(options.plan.layout);
  if (place.works) {
    make_engine(std::move(graph), options);
  } else {
    graph_ = std::make_unique<Graph>(std::move(graph));
    idle_state_ = std::make_unique<ModelState>(*graph_, optimizer_rule(options.optimizer));
  }
}

/// On all ranks: what a run's ranks agree on is found out together.
RankOptions RankModel::make_options(const JobData& data, const Graph& graph,
                                    const std::filesystem::path& run_directory) {
  const Communicator& world = place_.world;
  RankOptions options = rank_options(job_, graph, place_.grid.replicas(),
                                     lanes_of_rank(job_.parallel.threads, world));
  all_reduce_table_ = table_text(job_, run_directory, world);
  options.all_reduce =
      chosen_all_reduce(options.all_reduce, job_, all_reduce_table_, world, place_.replicas());
  options.memory.question.dataset_bytes = bytes_in_memory(data);
  limit_to_machine(options, world);
  warn_of_crowding(place_.works ? options.plan.lanes : 0, place_.workers);
  return options;
}

void RankModel::make_engine(Graph graph, const RankOptions& options) {
  // both planned and there
  const std::size_t before = resident_bytes(), samples = options.memory.question.dataset_bytes;
  JobEngine made = lockstep::make_engine(job_, std::move(graph), options, place_.workers,
                                         place_.groups ? &*place_.groups : nullptr);
  expected_ = expect(made, place_.stage());
  expected_->base_bytes = before - std::min(before, samples);
  engine_ = std::move(made.engine);
  if (!made.pipeline) return;
  if (place_.first_to_work()) spdlog::info("{}", describe(*made.pipeline, job_.parallel.schedule));
  pipeline_ = made.pipeline->pipeline;
}

std::vector<int> RankModel::stage_of_ops() const {
  if (!place_.staged()) return {};
  return lockstep::stage_of_ops(engine_ ? engine_->graph() : *graph_, pipeline_);
}

void RankModel::share_statistics() {
  if (job_.train.sync_bn || !place_.works) return;
  const std::span<float> mine = state().statistics();
  // if a rank is lost meanwhile, the others' stay whole
  std::vector<float> shared(mine.begin(), mine.end());
  place_.replicas().broadcast(std::as_writable_bytes(std::span(shared)), 0, "statistics");
  std::ranges::copy(shared, mine.begin());
}

void RankModel::compare_plans() {
  if (!place_.works) return;
  const std::string onednn = cpu::onednn_version();
  const std::uint64_t hash =
      plan_hash(engine_->train_plan()) ^ hash64(std::as_bytes(std::span(onednn)));
  for (std::uint64_t other : place_.replicas().all_gather_value(hash, "plan hash"))
    if (other != hash)
      throw ConfigError(
          "ranks have made different plans of this job, or use different versions of "
          "oneDNN; start the same binary with the same job and libraries everywhere");
}

}  // namespace lockstep
