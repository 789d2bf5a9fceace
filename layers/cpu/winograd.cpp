#include "layers/cpu/winograd.h"

#include <algorithm>

#include "layers/cpu/lane_fold.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

constexpr std::size_t kMaxWeights = std::size_t{256} * 512;

std::size_t floats_per_plane(const WinogradGeometry& g) { return g.weights() + kWinogradGap; }

/// Both kernels' scratch: the transformed pixels and products (or gradients) of a block of tiles.
std::size_t tile_floats(const WinogradGeometry& g) {
  const auto channels = static_cast<std::size_t>(g.in_channels + g.out_channels);
  return kWinogradProducts * (kWinogradTiles * channels + 2 * kWinogradGap);
}

/// The convolution whose forward is the data gradient of `g`.
WinogradGeometry transposed(WinogradGeometry g) {
  std::swap(g.in_channels, g.out_channels);
  return g;
}

/// Forward, and with the geometry transposed the data gradient.
class WinogradConvolve : public Kernel {
 public:
  WinogradConvolve(const WinogradGeometry& g, const Memory& src, const Memory& dst,
                   const Memory& packed)
      : geometry_(g), src_(src), dst_(dst), packed_(packed.of_lane()) {}

  std::size_t scratch_bytes() const override { return tile_floats(geometry_) * sizeof(float); }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    kernels().winograd_convolve(geometry_, range.last - range.first, src_.at(lane, range), packed_,
                                dst_.at(lane, range), reinterpret_cast<float*>(lane.scratch));
  }

 private:
  WinogradGeometry geometry_;
  Memory src_, dst_;
  const float* packed_;
};

/// Writes the lane's gradient with its first piece, adds the later ones.
class WinogradBackwardWeights : public Kernel {
 public:
  WinogradBackwardWeights(const WinogradGeometry& g, const Binding& b)
      : geometry_(g),
        src_(b[Role::kSrc]),
        diff_dst_(b[Role::kDiffDst]),
        gradient_(b[Role::kLaneGradient]) {}

  std::size_t scratch_bytes() const override {
    return (tile_floats(geometry_) + kWinogradProducts * floats_per_plane(geometry_)) *
           sizeof(float);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    kernels().winograd_weight_gradient(geometry_, range.last - range.first, src_.at(lane, range),
                                       diff_dst_.at(lane, range), gradient_.of_lane(lane.index),
                                       range.first != lane.begin,
                                       reinterpret_cast<float*>(lane.scratch));
  }

 private:
  WinogradGeometry geometry_;
  Memory src_, diff_dst_, gradient_;
};

class PackWinograd : public Kernel {
 public:
  PackWinograd(const WinogradGeometry& g, bool backward, const Binding& b)
      : geometry_(g),
        backward_(backward),
        weights_(b[Role::kWeights].of_lane()),
        packed_(b[Role::kPacked].of_lane()) {}

  void run(const StepContext&, const Lane&, const Range&) override {
    kernels().winograd_weights(geometry_, backward_, weights_, packed_);
  }

 private:
  WinogradGeometry geometry_;
  bool backward_;
  const float* weights_;
  float* packed_;
};

/// Adds the lanes' gradients in their order, and returns from [3*3][in][out] to [out,in,3,3].
class FoldWinogradGradient : public Kernel {
 public:
  FoldWinogradGradient(const WinogradGeometry& g, const Binding& b)
      : geometry_(g),
        lanes_(b.lanes),
        lane_gradient_(b[Role::kLaneGradient]),
        gradient_(b[Role::kGradient].of_lane()) {}

  void run(const StepContext& context, const Lane&, const Range&) override {
    const int home = fold_lanes(context, lanes_, lane_gradient_, 9 * geometry_.weights());
    if (home >= 0)
      transpose(lane_gradient_.of_lane(home), !context.first_micro_batch);
    else if (context.first_micro_batch)
      std::fill_n(gradient_, 9 * geometry_.weights(), 0.0f);  // no images on this rank
  }

 private:
  /// Sixteen output channels at a time: what is written stays in cache until its lines are full.
  void transpose(const float* from, bool add) const {
    constexpr std::size_t kTogether = 16;
    const auto in = static_cast<std::size_t>(geometry_.in_channels);
    const auto out = static_cast<std::size_t>(geometry_.out_channels);
    for (std::size_t first = 0; first < out; first += kTogether)
      for (std::size_t i = 0; i < in; ++i)
        for (std::size_t o = first; o < first + kTogether; ++o) {
          float* to = gradient_ + (o * in + i) * 9;
          const float* tap = from + i * out + o;
          for (std::size_t k = 0; k < 9; ++k, tap += in * out) to[k] = add ? to[k] + *tap : *tap;
        }
  }

  WinogradGeometry geometry_;
  int lanes_;
  Memory lane_gradient_;
  float* gradient_;
};

/// The share of direct convolution's products that Winograd's needs: tiles are whole, the direct
/// kernel leaves padding out.
double share_of_products(const Shape& s) {
  const auto tiles = [](int size) { return (size + 3) / 4; };
  const double direct = (3.0 * s.height - 2) * (3.0 * s.width - 2);
  return 36.0 * tiles(s.height) * tiles(s.width) / direct;
}

}  // namespace

std::optional<WinogradGeometry> winograd_geometry(const Graph& graph, const Op& op,
                                                  LayoutKind layout) {
  const auto* conv = std::get_if<Conv2d>(&op.attributes);
  if (!conv || conv->kernel != 3 || conv->stride != 1 || conv->padding != 1 || conv->groups != 1 ||
      conv->bias || op.inputs[0] == graph.input())
    return std::nullopt;
  const Shape& in = graph.value(op.inputs[0]).shape;
  const WinogradGeometry g{in.channels, conv->out_channels, in.height, in.width,
                           value_block(graph, op.output, layout)};
  // Transforms take their time too: about a sixth of the direct kernel's at 16 channels.
  constexpr double kWorthwhile = 0.65;
  const bool suits = g.in_channels % 16 == 0 && g.out_channels % 16 == 0 &&
                     g.block % kernels().width == 0 && g.weights() <= kMaxWeights &&
                     share_of_products(in) <= kWorthwhile;
  return suits ? std::optional(g) : std::nullopt;
}

std::size_t winograd_packed_bytes(const WinogradGeometry& g) {
  return kWinogradProducts * floats_per_plane(g) * sizeof(float);
}

std::size_t winograd_lane_gradient_bytes(const WinogradGeometry& g) {
  return 9 * g.weights() * sizeof(float);
}

std::unique_ptr<Kernel> make_winograd_kernel(const CallSite& site, const WinogradGeometry& g) {
  const Binding& b = site.binding;
  switch (site.call.kind) {
    case CallKind::kForward:
      return std::make_unique<WinogradConvolve>(g, b[Role::kSrc], b[Role::kDst], b[Role::kPacked]);
    case CallKind::kBackwardData:
      return std::make_unique<WinogradConvolve>(transposed(g), b[Role::kDiffDst], b[Role::kDiffSrc],
                                                b[Role::kPacked]);
    case CallKind::kBackwardWeights:
      return std::make_unique<WinogradBackwardWeights>(g, b);
    case CallKind::kPackWeights:
      return std::make_unique<PackWinograd>(g, false, b);
    case CallKind::kPackWeightsBackward:
      return std::make_unique<PackWinograd>(transposed(g), true, b);
    case CallKind::kFoldGradient:
      return std::make_unique<FoldWinogradGradient>(g, b);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
