#include "worker/team.h"

#include <omp.h>
#include <pthread.h>
#include <sched.h>

#include <cstdlib>
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

/// Of the calling thread; 0 if the system does not tell.
std::size_t stack_bytes() {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  std::size_t bytes = 0;
  void* stack = nullptr;
  if (pthread_attr_getstack(&attributes, &stack, &bytes) != 0) bytes = 0;
  pthread_attr_destroy(&attributes);
  return bytes;
}

}  // namespace

std::string small_stack(std::size_t bytes, bool first) {
  if (bytes == 0 || bytes >= kThreadStack) return "";
  const std::string enough = std::to_string(kThreadStack >> 10);
  std::string text = "a thread has a stack of " + std::to_string(bytes >> 10) + " KiB and needs " +
                     enough + " KiB: ";
  const char* variable = std::getenv("OMP_STACKSIZE") ? "OMP_STACKSIZE" : "GOMP_STACKSIZE";
  const char* value = std::getenv(variable);
  if (!first && value)
    text += std::string(variable) + " = " + value + "; unset it, or set " + variable + "=" +
            enough + "k";
  else
    text += "raise the limit, as in: ulimit -s 8192";
  return text;
}

Team::Team(int threads) : threads_(threads) {
  run([](int thread) {
    if (const std::string wrong = small_stack(stack_bytes(), thread == 0); !wrong.empty())
      throw ConfigError(wrong);
  });
}

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
                          std::to_string(threads_) +
                          " threads; unset OMP_THREAD_LIMIT, or set "
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
