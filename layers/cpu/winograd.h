#pragma once
#include <memory>
#include <optional>

#include "layers/cpu/kernel_factories.h"
#include "layers/cpu/kernels.h"

namespace lockstep::cpu {

/// The geometry of a convolution that our own Winograd kernels compute, in a third to a half of the
/// time of oneDNN's direct ones: 3x3, stride 1, padding 1, ungrouped, without bias, channels in
/// multiples of 16. Not where images are so small that tiles of 4x4 are mostly padding (2x2, 5x5),
/// nor where weights are so many (more than 256 x 512) that reading four times as many outweighs
/// it.
std::optional<WinogradGeometry> winograd_geometry(const Graph& graph, const Op& op,
                                                  LayoutKind layout);

std::size_t winograd_packed_bytes(const WinogradGeometry& geometry);
std::size_t winograd_lane_gradient_bytes(const WinogradGeometry& geometry);  // [3*3][in][out]

/// Kernels of one such convolution, of the same kinds as make_convolution_kernel's.
std::unique_ptr<Kernel> make_winograd_kernel(const CallSite& site,
                                             const WinogradGeometry& geometry);

}  // namespace lockstep::cpu
