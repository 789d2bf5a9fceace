#pragma once
#include <map>
#include <memory>

#include "layers/backend.h"
#include "layers/cpu/kernels.h"
#include "layers/layout.h"
#include "layers/optimizer.h"

namespace lockstep::cpu {

class Convolution;

struct CpuBackendOptions {
  LayoutKind layout = LayoutKind::kNhwc;
  Storage activations = Storage::kF32;  // bf16 wants nhwc: in other layouts oneDNN is slow
  Optimizer optimizer;
  double clip_norm = 0;  // 0: off
  bool winograd = true;  // f32: where it suits, see winograd.h; else all convolutions are oneDNN's
  OwnedTensors owned;    // what an update is about
};

/// Implements a graph's calls with oneDNN (linear, convolutions but those of winograd.h) and our
/// own kernels (the rest).
class CpuBackend : public Backend {
 public:
  CpuBackend(const Graph& graph, CpuBackendOptions options);
  ~CpuBackend() override;

  std::size_t packed_bytes(OpId op, bool backward) const override;
  std::size_t lane_gradient_bytes(OpId op) const override;
  std::unique_ptr<Kernel> make_kernel(const Call& call, Binding binding) override;
  void start_thread() override;

 private:
  const Convolution& convolution(OpId op) const;

  const Graph& graph_;
  CpuBackendOptions options_;
  std::map<OpId, std::shared_ptr<const Convolution>> convolutions_;
  std::map<OpId, WinogradGeometry> winograd_;
};

/// How many channels a block has on this CPU: 16 with AVX-512, else 8 (0 without AVX2).
int preferred_block();

/// Whether oneDNN has kernels of this CPU for all convolutions of a graph in a layout. In blocked
/// layouts the weight gradient of 3x3 on images of 2x2 has none, for one.
bool has_kernels(const Graph& graph, LayoutKind layout, Storage activations = Storage::kF32);

/// The layout of a whole model on this CPU: blocked where its channels allow (see layers/layout.h)
/// and kernels exist, else nhwc.
LayoutKind best_layout(const Graph& graph);

}  // namespace lockstep::cpu
