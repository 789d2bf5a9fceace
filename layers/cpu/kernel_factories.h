#pragma once
#include <memory>
#include <type_traits>

#include "layers/backend.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

/// What every kernel factory below needs.
struct CallSite {
  const Graph& graph;
  const Op& op;
  LayoutKind layout;
  Storage activations;
  const Call& call;
  const Binding& binding;
  OpId op_id;

  Geometry geometry(ValueId value) const;
  Storage storage(ValueId value) const;
  const Shape& shape(ValueId value) const { return graph.value(value).shape; }
  [[noreturn]] void no_kernel() const;  // throws InternalError
  void require_pass() const;            // no_kernel() unless the call is kForward or kBackwardData
  bool is_forward() const;              // the same, and which of them
};

/// Those of kernels() for elements of type T, float or Bf16.
template <class T>
const StoredKernels<T>& stored_kernels() {
  if constexpr (std::is_same_v<T, Bf16>)
    return kernels().bf16;
  else
    return kernels().f32;
}

/// A kernel K<float> or K<Bf16>, as values are stored that it reads and writes.
template <template <class> class K, class... Arguments>
std::unique_ptr<Kernel> make_stored(Storage storage, const Arguments&... arguments) {
  if (storage == Storage::kBf16) return std::make_unique<K<Bf16>>(arguments...);
  return std::make_unique<K<float>>(arguments...);
}

// The kernels of every op: one that has none here does not compile. Those of convolutions are in
// convolution.h and winograd.h.
std::unique_ptr<Kernel> make_kernel(const Linear&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const BatchNorm&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const GroupNorm&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const LayerNorm&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const LayerScale&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const PositionEmbedding&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Attention&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Activation&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Add&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Lerp&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Scale&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Dropout&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const StochasticDepth&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const BranchGate&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const ImageGate&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Concat&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const ChannelPad&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const ChannelScale&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Pool&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Upsample&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const Flatten&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const GlobalAveragePool&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const SoftmaxCrossEntropy&, const CallSite& site);
std::unique_ptr<Kernel> make_kernel(const PixelCrossEntropy&, const CallSite& site);

/// kCombineLoss of any loss.
std::unique_ptr<Kernel> make_combine_loss_kernel(const CallSite& site);

/// Adds lane gradients that are kept in the plain layout: linear, group norm.
std::unique_ptr<Kernel> make_fold_kernel(const CallSite& site);

/// dst = diff_dst + diff_dst2: a value's gradient from two consumers.
std::unique_ptr<Kernel> make_sum_kernel(const CallSite& site, ValueId value);

/// kGradientNorm, kFinishGradientNorm and kUpdate over all parameters that the rank holds.
std::unique_ptr<Kernel> make_update_kernel(const Graph& graph, const CpuBackendOptions& options,
                                           const Call& call, const Binding& binding);

}  // namespace lockstep::cpu
