#include "coordinator/bench/loader_bench.h"

#include <chrono>
#include <thread>

#include "coordinator/feed.h"
#include "data/error.h"
#include "data/timing.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/layout.h"

namespace lockstep {

LoaderBench::LoaderBench(const Job& job, int steps, const Communicator& group)
    : job_(job), group_(group), steps_(steps), data_(open_job_data(job, group)) {
  if (job.parallel.coordinator == "dedicated")
    throw ConfigError(
        "a benchmark of the loader has no coordinator that does nothing else; add "
        "--set parallel.coordinator=worker");
  const Graph graph = build_model(job.model, data_.input, data_.classes);
  data_.augment.planar = planar_input(cpu::best_layout(graph));
}

/// Seconds from one batch to as many later, on this rank, with a pause before each.
double LoaderBench::time_batches(int threads, double pause_seconds, double& waited) {
  Loader loader(data_.train_set(), data_.augment, job_.run.seed,
                {.threads = threads,
                 .depth = job_.data.prefetch,
                 .batch_capacity = largest_micro_batch(job_.train.batch, group_.size(),
                                                       job_.train.micro_batches)});
  TrainingFeed feed(&loader, data_.train_scatter.get(),
                    {.samples = data_.train_samples,
                     .batch = job_.train.batch,
                     .replica = group_.rank(),
                     .replicas = group_.size(),
                     .world_size = group_.size(),
                     .micro_batches = job_.train.micro_batches,
                     .seed = job_.run.seed,
                     .ahead = job_.data.prefetch},
                    0, 0);
  // What is ready before the clock starts is not counted: as many as are kept ahead.
  const auto take = [&](int steps) {
    for (int i = 0; i < steps * job_.train.micro_batches; ++i) feed.next();
  };
  take(1 + job_.data.prefetch / job_.train.micro_batches);
  group_.barrier("bench loader");
  waited = 0;
  const double begin = seconds_now();
  for (int i = 0; i < steps_; ++i) {
    std::this_thread::sleep_for(std::chrono::duration<double>(pause_seconds));
    const double asked = seconds_now();
    take(1);
    waited += seconds_now() - asked;
  }
  return seconds_now() - begin;
}

LoaderSpeed LoaderBench::run(int threads, double images_per_second) {
  LoaderSpeed speed;
  double waited = 0;
  // Batches at the end of an epoch are smaller: count what was asked for.
  std::int64_t samples = 0, cursor = 0;
  const int before = 1 + job_.data.prefetch / job_.train.micro_batches;
  for (int i = 0; i < before + steps_; ++i) {
    const Positions step = step_positions(cursor, data_.train_samples, job_.train.batch);
    if (i >= before) samples += step.count();
    cursor = step.end == data_.train_samples ? 0 : step.end;
  }
  const double seconds = time_batches(threads, 0, waited);
  speed.samples_per_second =
      static_cast<double>(samples) / group_.all_reduce(seconds, ReduceOp::kMax, "bench loader");
  if (images_per_second > 0) {
    time_batches(threads, job_.train.batch / images_per_second, waited);
    speed.wait_seconds = group_.all_reduce(waited, ReduceOp::kMax, "bench loader") / steps_;
  }
  return speed;
}

}  // namespace lockstep
