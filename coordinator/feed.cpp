#include "coordinator/feed.h"

#include <algorithm>
#include <numeric>

namespace lockstep {

namespace {
constexpr int kWindowSteps = 16;  // scattered at once
}

TrainingFeed::TrainingFeed(Loader* loader, SampleScatter* scatter, const Options& options,
                           std::int64_t epoch, std::int64_t cursor)
    : loader_(loader),
      scatter_(scatter),
      options_(options),
      epoch_(epoch),
      cursor_(cursor),
      scattered_(cursor) {
  parts_.reserve(static_cast<std::size_t>(options.micro_batches));
}

/// What the next request is of: of a whole step, or of one of its micro-batches.
Positions TrainingFeed::mine(Positions step) const {
  if (options_.replica < 0) return {step.begin, step.begin};
  if (options_.at_once) return part_of(step, options_.replica, options_.replicas);
  return micro_batch_positions(step, options_.replica, options_.replicas, micro_,
                               options_.micro_batches);
}

/// Sends those that load the samples of the next steps of this epoch.
void TrainingFeed::scatter_window() {
  std::vector<std::vector<std::int64_t>> wanted(static_cast<std::size_t>(options_.world_size));
  for (int i = 0; i < kWindowSteps && scattered_ < options_.samples; ++i) {
    const Positions step = step_positions(scattered_, options_.samples, options_.batch);
    for (int r = 0; r < options_.replicas; ++r) {
      const Positions part = part_of(step, r, options_.replicas);
      const auto replica = static_cast<std::size_t>(r);
      const int rank = options_.loading_rank.empty() ? r : options_.loading_rank[replica];
      auto& samples = wanted[static_cast<std::size_t>(rank)];
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
  const Positions part = mine(step);
  std::vector<std::int64_t> positions(static_cast<std::size_t>(part.count()));
  std::iota(positions.begin(), positions.end(), part.begin);
  if (loader_)
    loader_->request({.epoch = epoch_, .samples = order_->samples(part.begin, part.end)});
  asked_.push_back({std::move(positions), window_});
  if (options_.at_once || ++micro_ == options_.micro_batches) {
    micro_ = 0;
    cursor_ = step.end;
  }
}

std::span<const TrainingFeed::MicroBatch> TrainingFeed::next() {
  while (asked_.size() <= static_cast<std::size_t>(options_.ahead)) ask();
  current_ = std::move(asked_.front().positions);
  asked_.pop_front();
  const Batch batch = loader_ ? loader_->next() : Batch{};
  const int parts = options_.at_once ? options_.micro_batches : 1;
  parts_.clear();
  for (int i = 0; i < parts; ++i)
    parts_.push_back(
        slice(batch, current_, part_of({0, static_cast<std::int64_t>(current_.size())}, i, parts)));
  return parts_;
}

TrainingFeed::MicroBatch slice(const Batch& batch, std::span<const std::int64_t> positions,
                               Positions part) {
  const auto begin = static_cast<std::size_t>(part.begin),
             count = static_cast<std::size_t>(part.count());
  const std::size_t images = batch.samples.size();
  const auto of = [&](auto values) {
    const std::size_t each = images ? values.size() / images : 0;
    return values.empty() ? values : values.subspan(begin * each, count * each);
  };
  return {of(batch.pixels), of(batch.labels),
          positions.empty() ? positions : positions.subspan(begin, count)};
}

}  // namespace lockstep
