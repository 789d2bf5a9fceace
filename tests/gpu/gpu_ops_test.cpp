#include <cstdio>
#include <cstring>
#include <exception>

#include "tests/gpu/cases.h"

using namespace lockstep;

namespace {

constexpr int kNoDevice = 69, kFailed = 1;

/// `own`: without cuDNN and cuBLAS, whose kernels are not ours to check.
void run_all(gpu_test::Bench& bench, bool large, bool own) {
  for (const Storage storage : {Storage::kF32, Storage::kBf16}) {
    gpu_test::test_draws(bench, storage);
    gpu_test::test_elementwise(bench, storage, large);
    gpu_test::test_pools(bench, storage, large);
    gpu_test::test_batch_norm(bench, storage, large);
    if (!own) gpu_test::test_convolutions(bench, storage, large);
  }
  if (!own) gpu_test::test_linear(bench, large);
  gpu_test::test_loss(bench, large);
  gpu_test::test_update(bench, large);
}

}  // namespace

/// gpu_ops_test [--small | --large] [--no-timing] [--own]: ops of layers/gpu against the naive twins.
/// Exit codes: 0 all as expected, 1 something is not, 69 no device.
int main(int argc, char** argv) {
  bool small = true, large = true, timing = true, own = false;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--small")) large = false;
    if (!std::strcmp(argv[i], "--large")) small = false;
    if (!std::strcmp(argv[i], "--no-timing")) timing = false;
    if (!std::strcmp(argv[i], "--own")) own = true;
  }
  const gpu::Devices devices = gpu::find_devices();
  if (devices.count == 0) {
    std::printf("no GPU on this machine: %s; nothing was tested\n", devices.why_none.c_str());
    return kNoDevice;
  }
  try {
    std::printf("device: %s\n", gpu::device_text(0).c_str());
    gpu_test::Bench bench;
    bench.timing = timing;
    gpu_test::Bench::header();
    if (small) run_all(bench, false, own);
    if (large) run_all(bench, true, own);
    std::printf("%d phases, %d failures\n", bench.phases(), bench.failures());
    return bench.failures() == 0 ? 0 : kFailed;
  } catch (const std::exception& e) {
    std::printf("FAILED %s\n", e.what());
    return kFailed;
  }
}
