#include "data/checkpoint_writer.h"

#include <utility>

#include "data/error.h"

namespace lockstep {

CheckpointWriter::CheckpointWriter(std::size_t snapshot_floats)
    : snapshot_(snapshot_floats), thread_([this] { work(); }) {}

CheckpointWriter::~CheckpointWriter() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return phase_ != Phase::kStarted; });
    phase_ = Phase::kStopping;
  }
  changed_.notify_all();
  thread_.join();
}

std::span<float> CheckpointWriter::snapshot() {
  if (busy()) throw InternalError("checkpoint writer: the snapshot is still being written");
  return snapshot_;
}

void CheckpointWriter::start_shard(std::filesystem::path temporary_directory, int writer,
                                   std::vector<TensorView> tensors) {
  const std::less_equal<> before;  // a total order, also of pointers into different arrays
  for (const TensorView& tensor : tensors) {
    const float* begin = tensor.values.data();
    if (!tensor.values.empty() &&
        !(before(snapshot_.data(), begin) &&
          before(begin + tensor.values.size(), snapshot_.data() + snapshot_.size()))) {
      throw InternalError("checkpoint writer: " + tensor.name + " is not in the snapshot");
    }
  }
  start([directory = std::move(temporary_directory), writer, views = std::move(tensors)] {
    return write_shard(directory, writer, views);
  });
}

void CheckpointWriter::start_prune(std::filesystem::path checkpoints, int keep_newest,
                                   std::optional<std::int64_t> best_step) {
  start([checkpoints = std::move(checkpoints), keep_newest, best_step] {
    prune_checkpoints(checkpoints, keep_newest, best_step);
    return std::string();
  });
}

bool CheckpointWriter::busy() const {
  const std::lock_guard lock(mutex_);
  return phase_ != Phase::kIdle;
}

bool CheckpointWriter::finished() const {
  const std::lock_guard lock(mutex_);
  return phase_ == Phase::kEnded;
}

std::string CheckpointWriter::take_report() {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kIdle) throw InternalError("checkpoint writer: nothing was started");
  changed_.wait(lock, [this] { return phase_ == Phase::kEnded; });
  phase_ = Phase::kIdle;
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  return std::exchange(report_, {});
}

void CheckpointWriter::start(std::function<std::string()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::kIdle) {
      throw InternalError("checkpoint writer: the last report was not taken");
    }
    job_ = std::move(job);
    phase_ = Phase::kStarted;
  }
  changed_.notify_all();
}

void CheckpointWriter::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return phase_ == Phase::kStarted || phase_ == Phase::kStopping; });
    if (phase_ == Phase::kStopping) return;
    const std::function<std::string()> job = std::exchange(job_, nullptr);
    lock.unlock();
    std::string report;
    std::exception_ptr error;
    try {
      report = job();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    report_ = std::move(report);
    error_ = error;
    phase_ = Phase::kEnded;
    changed_.notify_all();
  }
}

}  // namespace lockstep
