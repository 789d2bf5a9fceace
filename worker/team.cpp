#include "worker/team.h"

#include <omp.h>
#include <sched.h>

#include <string>

#include "data/error.h"

namespace lockstep {

namespace {

constexpr int kSpins = 4000;  // some microseconds

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void Team::run(const std::function<void(int)>& work) {
  failed_ = false;
  error_ = nullptr;
  arrived_ = 0;
  if (threads_ == 1) {
    work(0);
    return;
  }
  omp_set_dynamic(0);
#pragma omp parallel num_threads(threads_)
  {
    try {
      if (omp_get_num_threads() != threads_)
        throw ConfigError("OpenMP gives " + std::to_string(omp_get_num_threads()) + " of " +
                          std::to_string(threads_) + " threads; unset OMP_THREAD_LIMIT, or set "
                          "parallel.threads");
      work(omp_get_thread_num());
    } catch (const TeamFailed&) {
    } catch (...) {
      fail(std::current_exception());
    }
  }
  if (error_) std::rethrow_exception(error_);
}

void Team::fail(std::exception_ptr error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = error;
  failed_ = true;
}

void Team::barrier() {
  if (threads_ == 1) return;
  const int generation = generation_.load(std::memory_order_acquire);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_release);
    return;
  }
  for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
    if (failed_.load(std::memory_order_relaxed)) throw TeamFailed();
    if (spins < kSpins)
      pause_cpu();
    else
      sched_yield();
  }
}

}  // namespace lockstep
