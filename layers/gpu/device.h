#pragma once
#include <cublas_v2.h>
#include <cuda_bf16.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <cstddef>
#include <string>
#include <utility>

#include "data/error.h"

namespace lockstep::gpu {

using Bf16 = __nv_bfloat16;

/// CUDA, cuDNN or cuBLAS refused a call. The message names the call, the layer and what to do.
struct GpuError : Error {
  explicit GpuError(const std::string& message) : Error(ExitCode::kInternal, message) {}
};

/// Throw GpuError unless the status is success; `where`: the layer, with its shapes.
void check(cudaError_t status, const char* call, const std::string& where = "");
void check(cudnnStatus_t status, const char* call, const std::string& where = "");
void check(cublasStatus_t status, const char* call, const std::string& where = "");

/// Call after a launch: a launch that was refused is known at once.
void check_launch(const char* kernel);

/// What this machine offers; no devices (and why) where there is no driver or no card. Never throws.
struct Devices {
  int count = 0;
  std::string why_none;
};
Devices find_devices();
/// "NVIDIA H100, sm_90, 132 multiprocessors, ...; driver 13.0, runtime 13.0, cuDNN 9.20".
std::string device_text(int device);

/// Owns one handle of a C API; moves, never copies. A failing destructor is ignored.
template <class Handle, auto kDestroy>
class Owned {
 public:
  Owned() = default;
  explicit Owned(Handle handle) : handle_(handle) {}
  Owned(Owned&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owned& operator=(Owned&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_) static_cast<void>(kDestroy(handle_));
  }
  Handle get() const { return handle_; }
  Handle* fill() { return &handle_; }

 private:
  Handle handle_{};
};

using Event = Owned<cudaEvent_t, cudaEventDestroy>;
Event make_event();

/// Device memory, not initialized.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  explicit DeviceMemory(std::size_t bytes);
  void* data() const { return memory_.get(); }
  template <class T>
  T* as() const {
    return static_cast<T*>(memory_.get());
  }
  std::size_t bytes() const { return bytes_; }

 private:
  Owned<void*, cudaFree> memory_;
  std::size_t bytes_ = 0;
};

/// One compute stream with cuDNN and cuBLAS bound to it. cuBLAS gets a workspace of its own, so that its
/// choice of kernels never depends on what else runs.
class Queue {
 public:
  Queue();
  cudaStream_t stream() const { return stream_.get(); }
  cudnnHandle_t cudnn() const { return cudnn_.get(); }
  cublasHandle_t cublas() const { return cublas_.get(); }
  void wait() const;
  void upload(void* to, const void* from, std::size_t bytes) const;
  void download(void* to, const void* from, std::size_t bytes) const;

 private:
  Owned<cudaStream_t, cudaStreamDestroy> stream_;
  DeviceMemory cublas_workspace_;
  Owned<cudnnHandle_t, cudnnDestroy> cudnn_;
  Owned<cublasHandle_t, cublasDestroy> cublas_;
};

}  // namespace lockstep::gpu
