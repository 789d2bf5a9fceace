#include "layers/cpu/cpu_backend.h"

#include <omp.h>

#include <string_view>

#include "data/error.h"
#include "layers/cpu/convolution.h"
#include "layers/cpu/kernel_factories.h"
#include "layers/cpu/winograd.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

/// Makes an op's kernel by its type.
struct KernelFactory {
  const CallSite& site;
  const std::shared_ptr<const Convolution>* convolution;  // of an op that is one

  std::unique_ptr<Kernel> operator()(const Conv2d&) const {
    return make_convolution_kernel(*convolution, site.call, site.binding);
  }
  std::unique_ptr<Kernel> operator()(const ConvTranspose2d&) const {
    return make_transposed_kernel(*convolution, site.call, site.binding);
  }
  template <class T>
  std::unique_ptr<Kernel> operator()(const T& attributes) const {
    return make_kernel(attributes, site);
  }
};

}  // namespace

Geometry CallSite::geometry(ValueId value) const {
  const Shape& s = graph.value(value).shape;
  return {s.channels, s.pixels(), value_block(graph, value, layout)};
}

Storage CallSite::storage(ValueId value) const { return value_storage(graph, value, activations); }

void CallSite::no_kernel() const {
  throw InternalError(op.name + " (" + kind_name(op.attributes) + "): no kernel for call kind " +
                      std::to_string(static_cast<int>(call.kind)));
}

void CallSite::require_pass() const {
  if (call.kind != CallKind::kForward && call.kind != CallKind::kBackwardData) no_kernel();
}

bool CallSite::is_forward() const {
  require_pass();
  return call.kind == CallKind::kForward;
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
  const auto found = convolutions_.find(call.op);
  return std::visit(KernelFactory{site, found == convolutions_.end() ? nullptr : &found->second},
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
