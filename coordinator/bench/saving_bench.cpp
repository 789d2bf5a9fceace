#include "coordinator/bench/saving_bench.h"

#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

namespace {

const Job& whole_models(const Job& job) {
  if (job.parallel.stages > 1)
    throw ConfigError(
        "bench checkpoint --every is for ranks that hold the whole model; add "
        "--set parallel.stages=1");
  return job;
}

}  // namespace

SavingBench::SavingBench(const Job& job, const Shape& input, int classes,
                         const std::filesystem::path& parent, const Communicator& group)
    : group_(group),
      directory_(parent, group),
      steps_(whole_models(job), input, classes, group, {}) {
  const Grid grid = make_grid(1, group);
  saver_ = std::make_unique<Saver>(
      directory_.path(), steps_.state(), group, 0,
      checkpoint_writers(steps_.graph(), steps_.state().optimizer(), {}, grid, 0), 1);
  for (int i = 0; i < 2; ++i) steps_.run();  // memory for the first time
}

template <typename Work>
double SavingBench::time(Work work) const {
  const double begin = seconds_now();
  work();
  return group_.all_reduce(seconds_now() - begin, ReduceOp::kMax, "bench checkpoint");
}

/// As at the end of a training step: publishes when all ranks have written.
double SavingBench::boundary() {
  return time([&] {
    const std::int64_t written =
        group_.all_reduce(std::int64_t{saver_->ready()}, ReduceOp::kSum, "step boundary");
    if (saver_->saving() && written == group_.size() && !saver_->publish())
      throw IoError(directory_.path().string() + ": the checkpoint could not be saved (see above)");
  });
}

SavingSeconds SavingBench::run(double seconds) {
  SavingSeconds s;
  for (; s.without < seconds; ++s.steps) s.without += steps_.run() + boundary();

  bool started = false;
  s.blocked = time([&] { started = saver_->start({.step = ++step_}); });
  if (!started) throw IoError(directory_.path().string() + ": no checkpoint can be saved there");
  s.with = s.blocked;
  for (int i = 0; i < s.steps; ++i) {
    s.with += steps_.run();
    const double stood = boundary();
    s.blocked += stood;
    s.with += stood;
    if (!saver_->saving() && s.save == 0) s.save = s.with;
  }
  if (saver_->saving()) {  // longer than the stretch: training would wait here too
    const double waited = time([&] { saver_->publish(); });
    s.blocked += waited;
    s.with += waited;
    s.save = s.with;
  }
  return s;
}

}  // namespace lockstep
