#include "jobs/plan_input.h"

#include "coordinator/job_data.h"
#include "jobs/cores.h"
#include "jobs/launch_plan.h"

namespace lockstep {
namespace {

constexpr std::int64_t kCifarTrain = 50000, kCifarVal = 10000;

std::int64_t limited(std::int64_t limit, std::int64_t size) {
  return limit > 0 ? std::min(limit, size) : size;
}

PlanInput cifar_input(const Job& job) {
  check_labels(job, false);
  const Shape stored{3, 32, 32};
  const bool validates = job.train.validate_every > 0;
  PlanInput in{.input = stored, .classes = job.data.source == "cifar10" ? 10 : 100};
  in.input.channels =
      input_channels(job.data.channels, {.path = job.data.path, .channels = stored.channels});
  if (job.data.height > 0) in.input.height = job.data.height;
  if (job.data.width > 0) in.input.width = job.data.width;
  in.train_samples = limited(job.data.train_samples, kCifarTrain);
  in.val_samples = validates ? limited(job.data.val_samples, kCifarVal) : 0;
  in.dataset_bytes = bytes_in_memory(stored, kCifarTrain + (validates ? kCifarVal : 0));
  return in;
}

}  // namespace

PlanInput plan_input(const Job& job) {
  if (job.data.source == "cifar10" || job.data.source == "cifar100") return cifar_input(job);
  const JobData data = open_job_data(job);
  PlanInput in{.input = data.input,
               .classes = data.classes,
               .train_samples = data.train_samples,
               .val_samples = data.val_samples};
  in.dataset_bytes = bytes_in_memory(data);
  return in;
}

std::size_t held_sample_bytes(const Job& job, const PlanInput& in) {
  return job.data.distribute != "scatter" || job.parallel.coordinator == "worker" ? in.dataset_bytes
                                                                                  : 0;
}

int planned_threads(const Job& job, int asked, int ranks) {
  if (asked > 0) return asked;
  return job.parallel.threads > 0 ? job.parallel.threads
                                  : launched_threads(usable_cores() * nodes_of_allocation(), ranks);
}

}  // namespace lockstep
