#include "coordinator/feed.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

namespace {
constexpr int kWindowSteps = 16;  // scattered at once
}

TrainingFeed::TrainingFeed(Loader& loader, SampleScatter* scatter, const Options& options,
                           std::int64_t epoch, std::int64_t cursor)
    : loader_(loader), scatter_(scatter), options_(options), epoch_(epoch), cursor_(cursor),
      scattered_(cursor) {}

Positions TrainingFeed::mine(Positions step, int worker, int micro) const {
  if (worker < 0) return {step.begin, step.begin};
  return micro_batch_positions(step, worker, options_.workers, micro, options_.micro_batches);
}

/// Sends everybody the samples of the next steps of this epoch.
void TrainingFeed::scatter_window() {
  std::vector<std::vector<std::int64_t>> wanted(static_cast<std::size_t>(options_.world_size));
  for (int i = 0; i < kWindowSteps && scattered_ < options_.samples; ++i) {
    const Positions step = step_positions(scattered_, options_.samples, options_.batch);
    for (int w = 0; w < options_.workers; ++w) {
      const Positions part = part_of(step, w, options_.workers);
      auto& samples = wanted[static_cast<std::size_t>(options_.first_worker + w)];
      const auto more = order_->samples(part.begin, part.end);
      samples.insert(samples.end(), more.begin(), more.end());
    }
    scattered_ = step.end;
  }
  if (!asked_.empty()) scatter_->forget_before(asked_.front().window);
  window_ = scatter_->send(wanted);
}

void TrainingFeed::ask() {
  if (cursor_ >= options_.samples) {
    ++epoch_;
    cursor_ = 0;
    scattered_ = 0;
  }
  if (order_epoch_ != epoch_) {
    order_.emplace(options_.samples, options_.seed, epoch_);
    order_epoch_ = epoch_;
  }
  if (scatter_ && micro_ == 0 && cursor_ >= scattered_) scatter_window();
  const Positions step = step_positions(cursor_, options_.samples, options_.batch);
  const Positions part = mine(step, options_.worker, micro_);
  std::vector<std::int64_t> positions(static_cast<std::size_t>(part.count()));
  std::iota(positions.begin(), positions.end(), part.begin);
  loader_.request({.epoch = epoch_, .samples = order_->samples(part.begin, part.end)});
  asked_.push_back({std::move(positions), window_});
  if (++micro_ == options_.micro_batches) {
    micro_ = 0;
    cursor_ = step.end;
  }
}

TrainingFeed::MicroBatch TrainingFeed::next() {
  while (asked_.size() <= static_cast<std::size_t>(options_.ahead)) ask();
  current_ = std::move(asked_.front().positions);
  asked_.pop_front();
  return {loader_.next(), current_};
}

}  // namespace lockstep
