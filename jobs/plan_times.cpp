#include "jobs/plan_times.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>

#include "coordinator/all_reduce_choice.h"
#include "coordinator/machine_memory.h"
#include "layers/model_doubts.h"
#include "worker/comm/mpi.h"

namespace lockstep {

PlanTimes::PlanTimes(const Job& job, const PlanInput& in, int ranks, int threads,
                     int ranks_on_machine)
    : workers_(ranks - (job.parallel.coordinator == "dedicated" ? 1 : 0)),
      graph_(build_model(job.model, in.input, in.classes)),
      options_(rank_options(job, graph_, Grid(workers_, job.parallel.stages).replicas(),
                            planned_threads(job, threads, ranks))) {
  for (const std::string& doubt : model_doubts(job.model, graph_)) spdlog::warn("{}", doubt);
  const int machines = (ranks + ranks_on_machine - 1) / ranks_on_machine;
  options_.all_reduce =
      chosen_all_reduce(options_.all_reduce, job,
                        table_text(job, std::filesystem::path(job.run.directory) / job.run.name),
                        machines, {options_.replicas, std::min(options_.replicas, machines)}, true);
  limit_to_machine(options_, ranks_on_machine);
  options_.memory.question.dataset_bytes = held_sample_bytes(job, in);
  if (!job.parallel.probe) return;
  const MpiSession mpi;
  const Communicator alone = Communicator::world();
  measured_ = probe_calls(graph_, options_, alone);
}

OpTimes PlanTimes::ops(int images) const {
  return measured_ ? measured_->ops(graph_, images, options_.plan.lanes)
                   : estimate_op_times(graph_, images);
}

}  // namespace lockstep
