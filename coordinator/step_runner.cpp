#include "coordinator/step_runner.h"

#include <algorithm>

#include "data/number_text.h"
#include "data/timing.h"

namespace lockstep {

StepRunner::StepRunner(const RunContext& run, TrainingHealth& health) : run_(run), health_(health) {
  if (run.place.loads()) make_loader();
  if (run.place.works) prepare_sizes();
}

/// Of micro-batches; of whole steps where a pipeline takes all of their micro-batches at once.
void StepRunner::make_loader() {
  const Job& job = run_.job;
  const int micro_batches = job.train.micro_batches,
            micro_batch_images = run_.model.engine().train_plan().max_images;
  LoaderOptions options{.threads = job.data.threads,
                        .depth = job.data.prefetch,
                        .batch_capacity = micro_batch_images};
  if (run_.place.staged()) {
    options.depth = (job.data.prefetch + micro_batches - 1) / micro_batches;
    options.batch_capacity = micro_batch_images * micro_batches;
  }
  loader_ =
      std::make_unique<Loader>(run_.data.train_set(), run_.data.augment, job.run.seed, options);
}

/// Of full steps, and of an epoch's last one.
void StepRunner::prepare_sizes() {
  const RankPlace& place = run_.place;
  const int micro_batches = run_.job.train.micro_batches;
  const std::int64_t all = run_.data.train_samples, batch = run_.job.train.batch;
  for (std::int64_t samples : {std::min(batch, all), all % batch}) {
    std::vector<int> sizes;
    for (int i = 0; i < micro_batches; ++i)
      sizes.push_back(
          static_cast<int>(micro_batch_positions({0, samples}, place.replica(),
                                                 place.grid.replicas(), i, micro_batches)
                               .count()));
    const std::size_t at_once = place.staged() ? sizes.size() : 1;
    for (std::size_t i = 0; i < sizes.size(); i += at_once)
      run_.model.engine().trainer().prepare(std::span(sizes).subspan(i, at_once));
  }
}

void StepRunner::begin(const TrainingState& where) {
  const Job& job = run_.job;
  const RankPlace& place = run_.place;
  const int micro_batches = job.train.micro_batches;
  if (place.loads() && !loader_) make_loader();
  feed_.emplace(
      loader_.get(), run_.data.train_scatter.get(),
      TrainingFeed::Options{.samples = run_.data.train_samples,
                            .batch = job.train.batch,
                            .replica = place.replica(),
                            .replicas = place.grid.replicas(),
                            .world_size = place.world.size(),
                            .loading_rank = place.world_ranks_of_stage(0),  // it has the loader
                            .micro_batches = micro_batches,
                            .at_once = place.staged(),
                            .seed = job.run.seed,
                            .ahead = place.staged()
                                         ? (job.data.prefetch + micro_batches - 1) / micro_batches
                                         : job.data.prefetch},
      where.epoch, where.cursor);
}

void StepRunner::end() {
  feed_.reset();
  loader_.reset();
}

void StepRunner::step(RunCourse& course) {
  const Job& job = run_.job;
  const bool works = run_.place.works;
  const std::int64_t before = course.where.step;
  run_.watchdog.enter(Activity::kStep, before);
  const Positions whole = course.next_positions();
  StepMetrics m{.epoch = course.where.epoch,
                .learning_rate = course.learning_rate(),
                .samples = whole.count()};
  const double begin = seconds_now();
  run_.faults.before_step(before + 1, works ? &run_.model.state() : nullptr);
  health_.before_step(before + 1, {.seed = job.run.seed, .step = before, .positions = whole});
  course.phase = RunPhase::kStepping;
  compute(course, whole, m);
  m.step_seconds = seconds_now() - begin;
  course.advance(whole, m.held);  // at once after the update: survivors tell by it what they hold
  course.phase = RunPhase::kFinishing;
  m.step = course.where.step;
  course.last_step = m;
  run_.place.share_with_coordinator(m, "step metrics");
  if (!works && m.held) ++course.where.slot_lag;
  course.last_step = m;
  run_.watchdog.step_took(m.step_seconds);
}

/// This rank's micro-batches; on a rank that only coordinates, just the data's way.
void StepRunner::compute(const RunCourse& course, const Positions& whole, StepMetrics& m) {
  int done = 0;
  while (done < run_.job.train.micro_batches) {
    const double asked = seconds_now();
    const std::span<const TrainingFeed::MicroBatch> parts = feed_->next();
    m.data_seconds += seconds_now() - asked;
    const bool first = done == 0;
    done += static_cast<int>(parts.size());
    if (!run_.place.works) continue;
    make_contexts(course, whole, m, parts, first);
    Executor& executor = run_.model.engine().trainer();
    sizes_.clear();
    for (const StepContext& context : contexts_) sizes_.push_back(context.images);
    executor.prepare(sizes_);  // returns at once, except after a resume in mid-epoch
    executor.run(contexts_, done == run_.job.train.micro_batches);
    m.times += executor.times();
  }
  if (!run_.place.works) return;
  const Executor& executor = run_.model.engine().trainer();
  const auto sums = executor.loss_sums();
  const double labels = std::max(sums[3], 1.0);  // there may be none in pictures
  m.loss = without_nan_sign(sums[0] / labels);
  m.accuracy = sums[1] / labels;
  m.gradient_norm = without_nan_sign(executor.gradient_norm());
  m.held = executor.update_held();
}

void StepRunner::make_contexts(const RunCourse& course, const Positions& whole,
                               const StepMetrics& m,
                               std::span<const TrainingFeed::MicroBatch> parts, bool first) {
  contexts_.clear();
  run_.faults.spoil(course.where.step + 1, parts.front().pixels);
  for (const TrainingFeed::MicroBatch& part : parts)
    contexts_.push_back({.step = course.where.step,
                         .seed = run_.job.run.seed,
                         .loss_divisor = static_cast<double>(m.samples),
                         .positions = part.positions,
                         .step_begin = whole.begin,
                         .step_end = whole.end,
                         .pixels = part.pixels.data(),
                         .labels = part.labels.data(),
                         .first_micro_batch = first && contexts_.empty(),
                         .images = static_cast<int>(part.positions.size()),
                         .learning_rate = static_cast<float>(m.learning_rate),
                         .slot_updates = course.where.step - course.where.slot_lag,
                         .norm_limit = health_.norm_limit()});
}

}  // namespace lockstep
