#pragma once
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>

namespace lockstep {

/// Thrown out of a barrier in the threads that wait when another one failed.
struct TeamFailed : std::exception {};

/// Threads that work together: OpenMP starts them, this barrier lets them meet. It spins briefly,
/// then yields, since several ranks may share a core. If a thread fails, the others leave the
/// barrier with TeamFailed instead of waiting for ever.
class Team {
 public:
  explicit Team(int threads) : threads_(threads) {}

  int threads() const { return threads_; }

  /// Runs `work(thread)` on every thread; rethrows the first exception of any.
  void run(const std::function<void(int)>& work);

  void barrier();

 private:
  void fail(std::exception_ptr error);

  int threads_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<int> generation_{0};
  alignas(64) std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr error_;
};

}  // namespace lockstep
