#include "coordinator/feed.h"

#include <numeric>

namespace lockstep {

TrainingFeed::TrainingFeed(Loader& loader, const Options& options, std::int64_t epoch,
                           std::int64_t cursor)
    : loader_(loader), options_(options), epoch_(epoch), cursor_(cursor) {}

void TrainingFeed::ask() {
  if (cursor_ >= options_.samples) {
    ++epoch_;
    cursor_ = 0;
  }
  if (order_epoch_ != epoch_) {
    order_.emplace(options_.samples, options_.seed, epoch_);
    order_epoch_ = epoch_;
  }
  const Positions step = step_positions(cursor_, options_.samples, options_.batch);
  const Positions mine = micro_batch_positions(step, options_.rank, options_.ranks, micro_,
                                               options_.micro_batches);
  std::vector<std::int64_t> positions(static_cast<std::size_t>(mine.count()));
  std::iota(positions.begin(), positions.end(), mine.begin);
  loader_.request({.epoch = epoch_, .samples = order_->samples(mine.begin, mine.end)});
  asked_.push_back(std::move(positions));
  if (++micro_ == options_.micro_batches) {
    micro_ = 0;
    cursor_ = step.end;
  }
}

TrainingFeed::MicroBatch TrainingFeed::next() {
  while (asked_.size() <= static_cast<std::size_t>(options_.ahead)) ask();
  current_ = std::move(asked_.front());
  asked_.erase(asked_.begin());
  return {loader_.next(), current_};
}

}  // namespace lockstep
