#include "layers/cpu/cpu_backend.h"

#include <omp.h>

#include <string_view>

#include "data/error.h"
#include "layers/cpu/convolution.h"
#include "layers/cpu/kernel_factories.h"
#include "layers/cpu/winograd.h"
#include "layers/layout.h"

namespace lockstep::cpu {

Geometry CallSite::geometry(ValueId value) const {
  const Shape& s = graph.value(value).shape;
  return {s.channels, s.pixels(), value_block(graph, value, layout)};
}

Storage CallSite::storage(ValueId value) const { return value_storage(graph, value, activations); }

void CallSite::no_kernel() const {
  throw InternalError(op.name + " (" + kind_name(op.attributes) + "): no kernel for call kind " +
                      std::to_string(static_cast<int>(call.kind)));
}

CpuBackend::CpuBackend(const Graph& graph, CpuBackendOptions options)
    : graph_(graph), options_(options) {
  if (dnnl_version()->cpu_runtime != DNNL_RUNTIME_OMP)
    throw ConfigError(
        "lockstep needs oneDNN built for OpenMP; this one would start threads of its "
        "own inside a lane. Build lockstep with another (cmake -Ddnnl_DIR=...)");
  for (std::size_t i = 0; i < graph.ops().size(); ++i) {
    const Op& op = graph.ops()[i];
    if (std::holds_alternative<ConvTranspose2d>(op.attributes))
      convolutions_.emplace(
          static_cast<OpId>(i),
          std::make_shared<const Convolution>(Convolution::transposed(graph, op, options.layout)));
    if (!std::holds_alternative<Conv2d>(op.attributes)) continue;
    const bool winograd = options.winograd && options.activations == Storage::kF32;
    const auto geometry =
        winograd ? winograd_geometry(graph, op, options.layout) : std::optional<WinogradGeometry>();
    if (geometry)
      winograd_.emplace(static_cast<OpId>(i), *geometry);
    else
      convolutions_.emplace(
          static_cast<OpId>(i),
          std::make_shared<const Convolution>(graph, op, options.layout, options.activations));
  }
}

CpuBackend::~CpuBackend() = default;

const Convolution& CpuBackend::convolution(OpId op) const { return *convolutions_.at(op); }

std::size_t CpuBackend::packed_bytes(OpId op, bool backward) const {
  const auto found = winograd_.find(op);
  if (found != winograd_.end()) return winograd_packed_bytes(found->second);
  const Convolution& c = convolution(op);
  return (backward != c.is_transposed() ? c.packed_weights_backward() : c.packed_weights())
      .get_size();
}

std::size_t CpuBackend::lane_gradient_bytes(OpId op) const {
  const auto geometry = winograd_.find(op);
  if (geometry != winograd_.end()) return winograd_lane_gradient_bytes(geometry->second);
  const auto found = convolutions_.find(op);
  if (found != convolutions_.end()) return found->second->lane_gradient().get_size();
  const Op& o = graph_.op(op);
  return static_cast<std::size_t>(graph_.parameter(o.parameters[0]).elements()) * sizeof(float);
}

std::unique_ptr<Kernel> CpuBackend::make_kernel(const Call& call, Binding binding) {
  if (call.op == kNone) return make_update_kernel(graph_, options_, call, binding);
  const Op& op = graph_.op(call.op);
  const CallSite site{graph_, op, options_.layout, options_.activations, call, binding, call.op};
  if (call.kind == CallKind::kSum) return make_sum_kernel(site, op.output);
  const auto geometry = winograd_.find(call.op);
  if (geometry != winograd_.end()) return make_winograd_kernel(site, geometry->second);
  struct Factory {
    const CallSite& site;
    const std::shared_ptr<const Convolution>* convolution;
    using Made = std::unique_ptr<Kernel>;
    Made operator()(const Conv2d&) const {
      return make_convolution_kernel(*convolution, site.call, site.binding);
    }
    Made operator()(const ConvTranspose2d&) const {
      return make_transposed_kernel(*convolution, site.call, site.binding);
    }
    Made operator()(const Linear&) const { return make_linear_kernel(site); }
    Made operator()(const BatchNorm&) const { return make_batch_norm_kernel(site); }
    Made operator()(const GroupNorm&) const { return make_group_norm_kernel(site); }
    Made operator()(const LayerNorm&) const { return make_layer_norm_kernel(site); }
    Made operator()(const LayerScale&) const { return make_layer_scale_kernel(site); }
    Made operator()(const PositionEmbedding&) const { return make_position_kernel(site); }
    Made operator()(const Attention&) const { return make_attention_kernel(site); }
    Made operator()(const Activation&) const { return make_elementwise_kernel(site); }
    Made operator()(const Add&) const { return make_elementwise_kernel(site); }
    Made operator()(const Lerp&) const { return make_lerp_kernel(site); }
    Made operator()(const Scale&) const { return make_elementwise_kernel(site); }
    Made operator()(const Dropout&) const { return make_random_kernel(site); }
    Made operator()(const StochasticDepth&) const { return make_random_kernel(site); }
    Made operator()(const BranchGate&) const { return make_random_kernel(site); }
    Made operator()(const Concat&) const { return make_channel_kernel(site); }
    Made operator()(const ChannelPad&) const { return make_channel_kernel(site); }
    Made operator()(const ChannelScale&) const { return make_channel_kernel(site); }
    Made operator()(const Pool&) const { return make_pool_kernel(site); }
    Made operator()(const Upsample&) const { return make_upsample_kernel(site); }
    Made operator()(const Flatten&) const { return make_flatten_kernel(site); }
    Made operator()(const GlobalAveragePool&) const { return make_pool_kernel(site); }
    Made operator()(const SoftmaxCrossEntropy&) const { return make_loss_kernel(site); }
    Made operator()(const PixelCrossEntropy&) const { return make_loss_kernel(site); }
  };
  const auto found = convolutions_.find(call.op);
  return std::visit(Factory{site, found == convolutions_.end() ? nullptr : &found->second},
                    op.attributes);
}

void CpuBackend::start_thread() {
  flush_denormals();
  omp_set_num_threads(1);  // a lane is one thread: oneDNN must not start a team inside it
}

int preferred_block() {
  const std::string_view isa = kernels().name;
  return isa == "avx512" ? 16 : isa == "avx2" ? 8 : 0;
}

bool has_kernels(const Graph& graph, LayoutKind layout, Storage activations) {
  try {
    const CpuBackend backend(graph,
                             {.layout = layout, .activations = activations, .winograd = false});
    return true;
  } catch (const InternalError&) {
    return false;
  }
}

LayoutKind best_layout(const Graph& graph) {
  const LayoutKind layout = choose_layout(graph, preferred_block());
  return has_kernels(graph, layout) ? layout : LayoutKind::kNhwc;
}

}  // namespace lockstep::cpu
