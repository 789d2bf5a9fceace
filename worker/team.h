#pragma once
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <string>

namespace lockstep {

/// Bytes of stack that a thread must have. 24 KiB were enough for every family, f32 and bf16, with AVX-512;
/// 20 KiB were not.
inline constexpr std::size_t kThreadStack = std::size_t{64} << 10;

/// What is wrong with a stack of `bytes`, and which variable mends it; empty: nothing is. `first` is the
/// process's own thread, whose stack is that of the shell's limit.
std::string small_stack(std::size_t bytes, bool first);

/// Thrown out of a barrier in the threads that wait when another one failed.
struct TeamFailed : std::exception {};

/// Threads that work together: OpenMP starts them, this barrier lets them meet. It spins briefly,
/// then yields, since several ranks may share a core. If a thread fails, the others leave the
/// barrier with TeamFailed instead of waiting for ever.
class Team {
 public:
  /// @throws ConfigError if a thread's stack is smaller than kThreadStack.
  explicit Team(int threads);

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
