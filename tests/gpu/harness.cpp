#include "tests/gpu/harness.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>

#include "layers/cpu/bf16.h"

namespace lockstep::gpu_test {

namespace {

std::int64_t count(const std::vector<std::int64_t>& dims) {
  std::int64_t n = 1;
  for (std::int64_t d : dims) n *= d;
  return n;
}

std::size_t element_bytes(Buffer::Kind kind) {
  switch (kind) {
    case Buffer::Kind::kF32:
      return 4;
    case Buffer::Kind::kBf16:
      return 2;
    case Buffer::Kind::kF64:
      return 8;
    case Buffer::Kind::kBytes:
      return 1;
  }
  return 1;
}

using cpu::rounded;
using cpu::widened;

/// Where element i of [N,C,H,W] lies in [N,H,W,C].
std::size_t nhwc(const std::vector<std::int64_t>& d, std::int64_t i) {
  const std::int64_t w = i % d[3], h = i / d[3] % d[2], c = i / (d[3] * d[2]) % d[1];
  const std::int64_t n = i / (d[3] * d[2] * d[1]);
  return static_cast<std::size_t>(((n * d[2] + h) * d[3] + w) * d[1] + c);
}

std::size_t place(const Buffer& b, std::int64_t i) {
  return b.image && b.dims.size() == 4 ? nhwc(b.dims, i) : static_cast<std::size_t>(i);
}

}  // namespace

Tensor stored(Tensor values, Storage storage) {
  for (double& v : values.values) {
    const auto f = static_cast<float>(v);
    v = static_cast<double>(storage == Storage::kBf16 ? widened(rounded<cpu::Bf16>(f)) : f);
  }
  return values;
}

double elements(const Tensor& tensor) { return static_cast<double>(count(tensor.dims)); }

Tensor quick_tensor(std::vector<std::int64_t> dims, std::uint64_t seed, bool filled) {
  if (!filled) return {std::move(dims), {}};
  Tensor t = reference::make_tensor(std::move(dims));
  std::uint64_t state = seed * 2 + 1;
  for (double& v : t.values) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    v = static_cast<double>(state >> 40) * 0x1.0p-23 - 1;
  }
  return t;
}

Buffer Bench::empty(std::vector<std::int64_t> dims, Storage storage, bool image) {
  Buffer b;
  b.kind = storage == Storage::kBf16 ? Buffer::Kind::kBf16 : Buffer::Kind::kF32;
  b.dims = std::move(dims);
  b.image = image;
  b.memory = gpu::DeviceMemory(static_cast<std::size_t>(count(b.dims)) * element_bytes(b.kind));
  return b;
}

Buffer Bench::empty_f64(std::int64_t n) {
  Buffer b;
  b.kind = Buffer::Kind::kF64;
  b.dims = {n};
  b.memory = gpu::DeviceMemory(static_cast<std::size_t>(n) * 8);
  return b;
}

Buffer Bench::bytes(std::size_t n) {
  Buffer b;
  b.kind = Buffer::Kind::kBytes;
  b.dims = {static_cast<std::int64_t>(n)};
  b.memory = gpu::DeviceMemory(std::max<std::size_t>(n, 16));
  return b;
}

Buffer Bench::upload(const Tensor& values, Storage storage, bool image) {
  Buffer b = empty(values.dims, storage, image);
  set(b, values);
  return b;
}

void Bench::set(const Buffer& b, const Tensor& values) {
  if (values.values.empty()) return repeat(b);
  std::vector<std::byte> raw(b.memory.bytes());
  for (std::int64_t i = 0; i < values.elements(); ++i) {
    const auto f = static_cast<float>(values[i]);
    if (b.kind == Buffer::Kind::kBf16) {
      const auto bits = rounded<cpu::Bf16>(f);
      std::memcpy(raw.data() + place(b, i) * 2, &bits, 2);
    } else {
      std::memcpy(raw.data() + place(b, i) * 4, &f, 4);
    }
  }
  queue_.upload(b.memory.data(), raw.data(), raw.size());
}

std::vector<double> Bench::download(const Buffer& b) {
  const std::int64_t n = count(b.dims);
  std::vector<std::byte> raw(b.memory.bytes());
  queue_.download(raw.data(), b.memory.data(), raw.size());
  std::vector<double> values(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) {
    const std::byte* from = raw.data() + place(b, i) * element_bytes(b.kind);
    double& to = values[static_cast<std::size_t>(i)];
    float f = 0;
    cpu::Bf16 bits{};
    switch (b.kind) {
      case Buffer::Kind::kF32:
        std::memcpy(&f, from, 4);
        to = static_cast<double>(f);
        break;
      case Buffer::Kind::kBf16:
        std::memcpy(&bits, from, 2);
        to = static_cast<double>(widened(bits));
        break;
      case Buffer::Kind::kF64:
        std::memcpy(&to, from, 8);
        break;
      case Buffer::Kind::kBytes:
        to = std::to_integer<int>(*from);
        break;
    }
  }
  return values;
}

void Bench::repeat(const Buffer& b) {
  constexpr std::int64_t kBlock = (1 << 20) + 24;
  const Storage storage = b.kind == Buffer::Kind::kBf16 ? Storage::kBf16 : Storage::kF32;
  const Buffer block = upload(quick_tensor({kBlock}, 77), storage, false);
  for (std::size_t at = 0; at < b.memory.bytes(); at += block.memory.bytes())
    gpu::check(cudaMemcpyAsync(b.as<std::byte>() + at, block.memory.data(),
                               std::min(block.memory.bytes(), b.memory.bytes() - at),
                               cudaMemcpyDeviceToDevice, queue_.stream()),
               "cudaMemcpyAsync");
  queue_.wait();
}

void Bench::header() {
  std::printf("%-34s %-18s %-5s %10s %8s %9s %9s %9s  %s\n", "op", "phase", "store", "max error",
              "allowed", "ms", "GB/s", "TFLOP/s", "");
}

double Bench::milliseconds(const Phase& phase) {
  const gpu::Event begin = gpu::make_event(), end = gpu::make_event();
  std::vector<float> times;
  for (int round = 0; round < 5; ++round) {
    constexpr int kLaunches = 5;
    gpu::check(cudaEventRecord(begin.get(), queue_.stream()), "cudaEventRecord");
    for (int i = 0; i < kLaunches; ++i) phase.launch();
    gpu::check(cudaEventRecord(end.get(), queue_.stream()), "cudaEventRecord");
    gpu::check(cudaEventSynchronize(end.get()), "cudaEventSynchronize");
    float ms = 0;
    gpu::check(cudaEventElapsedTime(&ms, begin.get(), end.get()), "cudaEventElapsedTime");
    times.push_back(ms / kLaunches);
  }
  std::sort(times.begin(), times.end());
  return static_cast<double>(times[times.size() / 2]);
}

void Bench::run(const Phase& phase) {
  ++phases_;
  std::vector<std::vector<std::byte>> bits[2];
  for (auto& of_run : bits) {
    if (phase.prepare)
      phase.prepare();
    else
      for (const Output& o : phase.outputs)  // bytes of 0xff: a NaN in every storage
        gpu::check(cudaMemsetAsync(o.buffer->memory.data(), 0xff, o.buffer->memory.bytes(),
                                   queue_.stream()),
                   "cudaMemsetAsync");
    phase.launch();
    queue_.wait();
    for (const Output& o : phase.outputs) {
      of_run.emplace_back(o.buffer->memory.bytes());
      queue_.download(of_run.back().data(), o.buffer->memory.data(), of_run.back().size());
    }
  }
  std::string verdict;
  double error = 0;
  bool compared = false;
  for (const Output& o : phase.outputs) {
    if (!o.expected) continue;
    compared = true;
    const std::vector<double> got = download(*o.buffer);
    double largest = 0, difference = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      largest = std::max(largest, std::abs(o.expected->values[i]));
      const double d = std::abs(got[i] - o.expected->values[i]);
      if (!(d <= difference)) difference = d;  // a NaN stays
      if (difference != difference) break;
    }
    const double relative = difference / std::max(largest, 1e-30);
    if (!(relative <= error)) error = relative;
  }
  if (compared && !(error <= phase.tolerance)) verdict += " WRONG";
  if (bits[0] != bits[1]) verdict += " RUNS DIFFER";
  const double ms = timing ? milliseconds(phase) : 0;
  char text[64] = "-";
  if (compared) std::snprintf(text, sizeof text, "%.2e", error);
  std::printf("%-34s %-18s %-5s %10s %8.0e %9.4f %9.1f %9.2f  %s\n", phase.op.c_str(),
              phase.name.c_str(), phase.storage.c_str(), text, phase.tolerance, ms,
              ms > 0 ? phase.work.bytes / ms * 1e-6 : 0, ms > 0 ? phase.work.flops / ms * 1e-9 : 0,
              verdict.empty() ? "ok" : verdict.c_str());
  std::fflush(stdout);
  if (!verdict.empty()) ++failures_;
}

void Bench::guard(const std::string& op, const std::function<void()>& test) {
  try {
    test();
  } catch (const std::exception& e) {
    fail(op + ": " + e.what());
    static_cast<void>(cudaGetLastError());
  }
}

void Bench::fail(const std::string& what) {
  ++failures_;
  std::printf("FAILED %s\n", what.c_str());
  std::fflush(stdout);
}

}  // namespace lockstep::gpu_test
