#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "layers/call.h"
#include "layers/gpu/device.h"
#include "tests/reference/tensor.h"

namespace lockstep::gpu_test {

using gpu::Bf16;
using reference::Tensor;

/// Device memory that remembers how its elements are stored. Images lie nhwc; `dims` are the twin's [N,C,H,W].
struct Buffer {
  enum class Kind { kF32, kBf16, kF64, kBytes };
  Kind kind = Kind::kF32;
  std::vector<std::int64_t> dims;
  bool image = false;
  gpu::DeviceMemory memory;

  template <class T = float>
  T* as() const {
    return memory.as<T>();
  }
};

/// What a launch wrote and what it should have been; nothing expected: only the bits of two runs are compared.
struct Output {
  const Buffer* buffer;
  std::optional<Tensor> expected;
};

struct Work {
  double bytes = 0, flops = 0;
};

/// One phase of an op: launched twice on poisoned outputs, compared, timed.
struct Phase {
  std::string op, name, storage;
  Work work;
  double tolerance = 1e-5;  // of the largest difference, relative to the largest value expected
  std::function<void()> launch;
  std::vector<Output> outputs;
  std::function<void()> prepare =
      {};  // sets what the launch also reads; default: outputs are poisoned
};

/// Runs phases, prints one line each, counts failures.
class Bench {
 public:
  const gpu::Queue& queue() const { return queue_; }

  Buffer upload(const Tensor& values, Storage storage, bool image);  // bf16: rounded
  Buffer empty(std::vector<std::int64_t> dims, Storage storage, bool image);
  Buffer empty_f64(std::int64_t count);
  Buffer bytes(std::size_t count);
  std::vector<double> download(const Buffer& buffer);  // in the twin's order
  void set(const Buffer& buffer, const Tensor& values);

  void run(const Phase& phase);
  /// Runs `test`; an exception is one failure, and the next test goes on.
  void guard(const std::string& op, const std::function<void()>& test);
  void fail(const std::string& what);

  static void header();
  int failures() const { return failures_; }
  int phases() const { return phases_; }
  bool timing = true;

 private:
  void repeat(const Buffer& buffer);
  double milliseconds(const Phase& phase);

  gpu::Queue queue_;
  int failures_ = 0, phases_ = 0;
};

/// Values rounded to what `storage` holds.
Tensor stored(Tensor values, Storage storage);
/// Uniform in [-1, 1). Not `filled`: dims alone; upload() then repeats a block of values, in no time.
Tensor quick_tensor(std::vector<std::int64_t> dims, std::uint64_t seed, bool filled = true);
double elements(const Tensor& tensor);  // by its dims
inline const char* name(Storage s) { return s == Storage::kBf16 ? "bf16" : "f32"; }
/// Relative: results are rounded to bf16 once or twice.
inline double tolerance(Storage s, double f32 = 1e-5) { return s == Storage::kBf16 ? 8e-3 : f32; }

}  // namespace lockstep::gpu_test
