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

std::unique_ptr<Kernel> make_linear_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_batch_norm_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_group_norm_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_layer_norm_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_layer_scale_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_position_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_attention_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_elementwise_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_lerp_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_flatten_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_random_kernel(const CallSite& site);   // dropout, skipped branches
std::unique_ptr<Kernel> make_channel_kernel(const CallSite& site);  // concat, pad, SE scale
std::unique_ptr<Kernel> make_pool_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_upsample_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_loss_kernel(const CallSite& site);
std::unique_ptr<Kernel> make_pixel_loss_kernel(const CallSite& site);  // kForward

/// Adds lane gradients that are kept in the plain layout: linear, group norm.
std::unique_ptr<Kernel> make_fold_kernel(const CallSite& site);

/// dst = diff_dst + diff_dst2: a value's gradient from two consumers.
std::unique_ptr<Kernel> make_sum_kernel(const CallSite& site, ValueId value);

/// kGradientNorm, kFinishGradientNorm and kUpdate over all parameters that the rank holds.
std::unique_ptr<Kernel> make_update_kernel(const Graph& graph, const CpuBackendOptions& options,
                                           const Call& call, const Binding& binding);

}  // namespace lockstep::cpu
