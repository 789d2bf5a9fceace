#include "layers/gpu/device.h"

namespace lockstep::gpu {

namespace {

[[noreturn]] void fail(const char* call, const std::string& reason, const std::string& where,
                       const char* advice) {
  throw GpuError(std::string(call) + (where.empty() ? "" : " for " + where) + " failed: " + reason +
                 ". " + advice);
}

std::string version_text(int version, int major, int minor) {
  return std::to_string(version / major) + "." + std::to_string(version % major / minor);
}

}  // namespace

void check(cudaError_t status, const char* call, const std::string& where) {
  if (status == cudaSuccess) return;
  const char* advice = "Run under compute-sanitizer to find the kernel, and report it";
  if (status == cudaErrorMemoryAllocation)
    advice = "The device's memory is full: take a smaller micro-batch, or recompute";
  if (status == cudaErrorInsufficientDriver || status == cudaErrorNoDevice)
    advice = "Install a driver for CUDA 13, or run on CPUs";
  if (status == cudaErrorNoKernelImageForDevice)
    advice = "Kernels are built for sm_80 and sm_90: build with this device's architecture";
  fail(call, cudaGetErrorString(status), where, advice);
}

void check(cudnnStatus_t status, const char* call, const std::string& where) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char last[512] = "";
  cudnnGetLastErrorString(last, sizeof last);
  fail(call, std::string(cudnnGetErrorString(status)) + " (" + last + ")", where,
       "Set CUDNN_LOGLEVEL_DBG=1 to see why; cuDNN 9 is needed");
}

void check(cublasStatus_t status, const char* call, const std::string& where) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(call, cublasGetStatusString(status), where, "cuBLAS 13 is needed");
}

void check_launch(const char* kernel) { check(cudaGetLastError(), "launch", kernel); }

Devices find_devices() {
  Devices found;
  const cudaError_t status = cudaGetDeviceCount(&found.count);
  if (status != cudaSuccess) {
    found.count = 0;
    found.why_none = cudaGetErrorString(status);
    static_cast<void>(cudaGetLastError());
  } else if (found.count == 0) {
    found.why_none = "the driver shows no device";
  }
  return found;
}

std::string device_text(int device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  return std::string(p.name) + ", sm_" + std::to_string(p.major) + std::to_string(p.minor) + ", " +
         std::to_string(p.multiProcessorCount) + " multiprocessors, " +
         std::to_string(p.totalGlobalMem >> 20) + " MiB; driver " + version_text(driver, 1000, 10) +
         ", runtime " + version_text(runtime, 1000, 10) + ", cuDNN " +
         version_text(static_cast<int>(cudnnGetVersion()), 10000, 100);
}

Event make_event() {
  Event event;
  check(cudaEventCreate(event.fill()), "cudaEventCreate");
  return event;
}

DeviceMemory::DeviceMemory(std::size_t bytes) : bytes_(bytes) {
  if (bytes > 0)
    check(cudaMalloc(memory_.fill(), bytes), "cudaMalloc", std::to_string(bytes) + " bytes");
}

Queue::Queue() : cublas_workspace_(std::size_t{32} << 20) {
  check(cudaStreamCreateWithFlags(stream_.fill(), cudaStreamNonBlocking), "cudaStreamCreate");
  check(cudnnCreate(cudnn_.fill()), "cudnnCreate");
  check(cudnnSetStream(cudnn_.get(), stream_.get()), "cudnnSetStream");
  check(cublasCreate(cublas_.fill()), "cublasCreate");
  check(cublasSetStream(cublas_.get(), stream_.get()), "cublasSetStream");
  check(cublasSetWorkspace(cublas_.get(), cublas_workspace_.data(), cublas_workspace_.bytes()),
        "cublasSetWorkspace");
}

void Queue::wait() const { check(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize"); }

void Queue::upload(void* to, const void* from, std::size_t bytes) const {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_.get()), "cudaMemcpyAsync");
  wait();
}

void Queue::download(void* to, const void* from, std::size_t bytes) const {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_.get()), "cudaMemcpyAsync");
  wait();
}

}  // namespace lockstep::gpu
