#include "data/loader.h"

#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr std::size_t kAlignment = 64;

struct FreeMemory {
  void operator()(float* memory) const { std::free(memory); }
};
using AlignedFloats = std::unique_ptr<float[], FreeMemory>;

AlignedFloats allocate_floats(std::size_t count) {
  const std::size_t bytes = (count * sizeof(float) + kAlignment - 1) / kAlignment * kAlignment;
  AlignedFloats memory(static_cast<float*>(std::aligned_alloc(kAlignment, bytes)));
  if (!memory) {
    throw ConfigError("loader: no memory for a batch of " + std::to_string(bytes) +
                      " bytes: use smaller batches or a smaller depth");
  }
  return memory;
}

/// A place for one batch. Request number k uses place k modulo the number of places.
struct Place {
  AlignedFloats pixels;
  std::vector<std::int32_t> labels;
  BatchRequest request;
  std::size_t handed_out = 0;  // samples that a thread has taken
  std::size_t finished = 0;
  std::size_t bad_sample = 0;  // position of the first sample that failed, where `error` is set
  std::exception_ptr error;

  bool done() const { return finished == request.samples.size(); }
};

/// oneTBB's workers are as many as the cores less one unless somebody asks for more.
std::size_t parallelism_for(int threads) {
  using Control = tbb::global_control;
  return std::max(Control::active_value(Control::max_allowed_parallelism),
                  static_cast<std::size_t>(threads) + 1);
}

const LoaderOptions& checked(const LoaderOptions& options) {
  if (options.threads < 1 || options.threads > 1024 || options.depth < 1 || options.depth > 1024 ||
      options.batch_capacity < 1) {
    throw ConfigError("loader: threads and depth must be 1 to 1024, batch capacity at least 1");
  }
  return options;
}

}  // namespace

/// Requests are numbered. [0, released_) are over, [released_, taken_) is held by the caller, [..,
/// started_) have a place and are worked on, the rest waits. One task ("ticket") per piece of work
/// is enqueued in the arena; when it runs, it takes the oldest piece there is, so batches are
/// finished in order.
class Loader::State {
 public:
  State(const Dataset& dataset, AugmentOptions augmentation, std::uint64_t seed,
        const LoaderOptions& options)
      : dataset_(dataset),
        augment_(std::move(augmentation)),
        seed_(seed),
        options_(checked(options)),
        parallelism_(tbb::global_control::max_allowed_parallelism,
                     parallelism_for(options.threads)),
        arena_(options.threads, 0) {
    check(augment_);
    input_values_ = static_cast<std::size_t>(augment_.height) *
                    static_cast<std::size_t>(augment_.width) *
                    static_cast<std::size_t>(augment_.channels);
    if (dataset.info().masks)
      label_values_ =
          static_cast<std::size_t>(augment_.height) * static_cast<std::size_t>(augment_.width);
    const auto capacity = static_cast<std::size_t>(options_.batch_capacity);
    places_.resize(static_cast<std::size_t>(options_.depth) + 1);
    for (Place& place : places_) {
      place.pixels = allocate_floats(capacity * input_values_);
      place.labels.resize(capacity * label_values_);
    }
  }

  ~State() {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    changed_.wait(lock, [this] { return tickets_ == 0; });
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void request(BatchRequest request) {
    if (request.samples.size() > static_cast<std::size_t>(options_.batch_capacity)) {
      throw InternalError("loader: a batch of " + std::to_string(request.samples.size()) +
                          " samples, the capacity is " + std::to_string(options_.batch_capacity));
    }
    for (const std::int64_t sample : request.samples) {
      if (sample < 0 || sample >= dataset_.size()) {
        throw InternalError("loader: sample " + std::to_string(sample) + " of a dataset of " +
                            std::to_string(dataset_.size()));
      }
    }
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(request));
    start_waiting();
  }

  Batch next() {
    std::unique_lock lock(mutex_);
    if (taken_ == started_ + waiting_.size())
      throw InternalError("loader: next() without a request");
    released_ = taken_;
    start_waiting();
    Place& place = place_of(taken_);
    if (!place.done()) {
      const auto begin = std::chrono::steady_clock::now();
      changed_.wait(lock, [&place] { return place.done(); });
      waited_seconds_ +=
          std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    }
    ++taken_;
    if (place.error) std::rethrow_exception(std::exchange(place.error, nullptr));
    const std::size_t count = place.request.samples.size();
    return {{place.pixels.get(), count * input_values_},
            {place.labels.data(), count * label_values_},
            place.request.samples};
  }

  std::size_t pending() const {
    const std::lock_guard lock(mutex_);
    return started_ + waiting_.size() - taken_;
  }

  double waited_seconds() const {
    const std::lock_guard lock(mutex_);
    return waited_seconds_;
  }

 private:
  Place& place_of(std::size_t request) { return places_[request % places_.size()]; }

  /// Several pieces per thread, so that threads end together; not smaller than a task is worth.
  std::size_t piece_size(std::size_t samples) const {
    return std::max<std::size_t>(1, samples / (4 * static_cast<std::size_t>(options_.threads)));
  }

  /// With the lock held.
  void start_waiting() {
    while (!waiting_.empty() && started_ - released_ < places_.size()) {
      Place& place = place_of(started_++);
      place.request = std::move(waiting_.front());
      waiting_.pop_front();
      place.handed_out = place.finished = 0;
      place.error = nullptr;
      const std::size_t samples = place.request.samples.size();
      const std::size_t piece = piece_size(samples);
      for (std::size_t first = 0; first < samples; first += piece) {
        ++tickets_;
        arena_.enqueue([this] { run_ticket(); });
      }
    }
  }

  void run_ticket() {
    std::unique_lock lock(mutex_);
    bool finished_batch = false;
    if (!stopping_) {
      while (place_of(working_).handed_out == place_of(working_).request.samples.size()) ++working_;
      Place& place = place_of(working_);
      const std::size_t samples = place.request.samples.size();
      const std::size_t begin = place.handed_out;
      const std::size_t end = std::min(samples, begin + piece_size(samples));
      place.handed_out = end;
      lock.unlock();
      make_samples(place, begin, end);
      lock.lock();
      place.finished += end - begin;
      finished_batch = place.done();
    }
    --tickets_;
    if (finished_batch || stopping_) changed_.notify_all();
  }

  void make_samples(Place& place, std::size_t begin, std::size_t end) {
    Image& image = images_.local();
    for (std::size_t i = begin; i < end; ++i) {
      try {
        if (stopping_) return;
        const std::int64_t sample = place.request.samples[i];
        const AugmentKey key{seed_, place.request.epoch, sample};
        const bool training = place.request.training;
        dataset_.read_reduced(sample, image, [&](int height, int width) {
          return least_scale(augment_, key, training, height, width);
        });
        const bool masks = dataset_.info().masks;
        std::int32_t* labels = place.labels.data() + i * label_values_;
        if (!masks) *labels = dataset_.label(sample);
        augment(image, augment_, key, training, place.pixels.get() + i * input_values_,
                masks ? labels : nullptr);
      } catch (...) {
        const std::lock_guard lock(mutex_);
        if (!place.error || i < place.bad_sample) {
          place.error = std::current_exception();
          place.bad_sample = i;
        }
      }
    }
  }

  const Dataset& dataset_;
  const AugmentOptions augment_;
  const std::uint64_t seed_;
  const LoaderOptions options_;
  std::size_t input_values_ = 0, label_values_ = 1;  // of one sample

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Place> places_;
  std::deque<BatchRequest> waiting_;
  std::size_t started_ = 0;
  std::size_t taken_ = 0;
  std::size_t released_ = 0;
  std::size_t working_ = 0;  // the oldest request that may have samples to hand out
  std::size_t tickets_ = 0;
  std::atomic<bool> stopping_ = false;
  double waited_seconds_ = 0;

  tbb::enumerable_thread_specific<Image> images_;
  tbb::global_control parallelism_;
  tbb::task_arena arena_;
};

Loader::Loader(const Dataset& dataset, AugmentOptions augment, std::uint64_t seed,
               LoaderOptions options)
    : state_(std::make_unique<State>(dataset, std::move(augment), seed, options)) {}

Loader::~Loader() = default;

void Loader::request(BatchRequest request) { state_->request(std::move(request)); }

Batch Loader::next() { return state_->next(); }

std::size_t Loader::pending() const { return state_->pending(); }

double Loader::waited_seconds() const { return state_->waited_seconds(); }

}  // namespace lockstep
