#include <algorithm>
#include <vector>

#include "layers/cpu/kernel_factories.h"
#include "layers/cpu/primitive.h"

namespace lockstep::cpu {

namespace {

using dnnl::memory;
using tag = memory::format_tag;
constexpr auto kF32 = memory::data_type::f32;

/// Descriptors of one linear op; all layouts are plain, so nothing is packed.
struct LinearShape {
  std::string name;
  int in, out;
  bool bias;

  memory::desc src(int images) const { return {{images, in}, kF32, tag::ab}; }
  memory::desc dst(int images) const { return {{images, out}, kF32, tag::ab}; }
  memory::desc weights() const { return {{out, in}, kF32, tag::ab}; }
  memory::desc bias_desc() const {
    return bias ? memory::desc({out}, kF32, tag::a) : memory::desc();
  }

  dnnl::inner_product_forward::primitive_desc forward(int images) const {
    return create_primitive(name, [&] {
      return dnnl::inner_product_forward::primitive_desc(
          cpu_engine(), dnnl::prop_kind::forward_training, src(images), weights(), bias_desc(),
          dst(images), user_scratchpad());
    });
  }
};

/// Shared by the three passes: primitives by number of images.
class LinearKernel : public Kernel {
 public:
  LinearKernel(LinearShape shape, int lanes) : shape_(std::move(shape)), lanes_(lanes) {}

  void prepare(int images) override {
    const auto index = static_cast<std::size_t>(images);
    if (primitives_.size() <= index) primitives_.resize(index + 1);
    if (!primitives_[index].empty()) return;
    const SingleThreaded one_thread;
    primitives_[index] = create_primitive(shape_.name, [&] { return create(images); });
    primitive_scratch_ = std::max(primitive_scratch_, primitives_[index].scratch_bytes());
  }
  std::size_t scratch_bytes() const override { return primitive_scratch_; }

 protected:
  virtual LanePrimitive create(int images) const = 0;
  const LanePrimitive& of(const Range& range) const {
    return primitives_[static_cast<std::size_t>(range.last - range.first)];
  }
  LinearShape shape_;
  int lanes_;
  std::size_t primitive_scratch_ = 0;

 private:
  std::vector<LanePrimitive> primitives_;
};

class LinearForward : public LinearKernel {
 public:
  LinearForward(LinearShape shape, const Binding& b)
      : LinearKernel(std::move(shape), b.lanes),
        src_(b[Role::kSrc]),
        dst_(b[Role::kDst]),
        weights_(b[Role::kWeights].of_lane()) {
    if (shape_.bias) bias_ = b[Role::kBias].of_lane();
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const float *src = src_.at(lane, range), *dst = dst_.at(lane, range);
    if (bias_)
      of(range).run(lane.index, {src, weights_, dst, bias_}, lane.scratch);
    else
      of(range).run(lane.index, {src, weights_, dst}, lane.scratch);
  }

 protected:
  LanePrimitive create(int images) const override {
    const auto pd = shape_.forward(images);
    std::vector<std::pair<int, memory::desc>> arguments{{DNNL_ARG_SRC, pd.src_desc()},
                                                        {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                                                        {DNNL_ARG_DST, pd.dst_desc()}};
    if (shape_.bias) arguments.emplace_back(DNNL_ARG_BIAS, pd.bias_desc());
    return {dnnl::inner_product_forward(pd), arguments, pd.scratchpad_desc(), lanes_, shape_.name};
  }

 private:
  Memory src_, dst_;
  const float* weights_;
  const float* bias_ = nullptr;
};

class LinearBackwardData : public LinearKernel {
 public:
  LinearBackwardData(LinearShape shape, const Binding& b)
      : LinearKernel(std::move(shape), b.lanes),
        diff_dst_(b[Role::kDiffDst]),
        diff_src_(b[Role::kDiffSrc]),
        weights_(b[Role::kWeights].of_lane()) {}

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    of(range).run(lane.index, {diff_dst_.at(lane, range), weights_, diff_src_.at(lane, range)},
                  lane.scratch);
  }

 protected:
  LanePrimitive create(int images) const override {
    const dnnl::inner_product_backward_data::primitive_desc pd(
        cpu_engine(), shape_.src(images), shape_.weights(), shape_.dst(images),
        shape_.forward(images), user_scratchpad());
    return {dnnl::inner_product_backward_data(pd),
            {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
             {DNNL_ARG_WEIGHTS, pd.weights_desc()},
             {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}},
            pd.scratchpad_desc(),
            lanes_,
            shape_.name};
  }

 private:
  Memory diff_dst_, diff_src_;
  const float* weights_;
};

/// As the convolution's: writes the lane's gradient with its first piece, adds the later ones.
class LinearBackwardWeights : public LinearKernel {
 public:
  LinearBackwardWeights(LinearShape shape, const Binding& b)
      : LinearKernel(std::move(shape), b.lanes),
        src_(b[Role::kSrc]),
        diff_dst_(b[Role::kDiffDst]),
        gradient_(b[Role::kLaneGradient]),
        weights_(static_cast<std::size_t>(shape_.in) * static_cast<std::size_t>(shape_.out)) {
    if (shape_.bias) bias_gradient_ = b[Role::kLaneBiasGradient];
  }

  /// [the primitive's scratchpad][a piece's gradient][a piece's bias gradient]
  std::size_t scratch_bytes() const override {
    return piece_offset() + (weights_ + bias_floats()) * sizeof(float);
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const bool first = range.first == lane.begin;
    float* piece = reinterpret_cast<float*>(lane.scratch + piece_offset());
    float* lane_gradient = gradient_.of_lane(lane.index);
    float* out = first ? lane_gradient : piece;
    const float *src = src_.at(lane, range), *diff_dst = diff_dst_.at(lane, range);
    if (shape_.bias) {
      float* lane_bias = bias_gradient_.of_lane(lane.index);
      float* piece_bias = piece + weights_;
      of(range).run(lane.index, {src, diff_dst, out, first ? lane_bias : piece_bias}, lane.scratch);
      if (!first) kernels().accumulate(bias_floats(), piece_bias, lane_bias);
    } else {
      of(range).run(lane.index, {src, diff_dst, out}, lane.scratch);
    }
    if (!first) kernels().accumulate(weights_, piece, lane_gradient);
  }

 protected:
  LanePrimitive create(int images) const override {
    const dnnl::inner_product_backward_weights::primitive_desc pd(
        cpu_engine(), shape_.src(images), shape_.weights(), shape_.bias_desc(), shape_.dst(images),
        shape_.forward(images), user_scratchpad());
    std::vector<std::pair<int, memory::desc>> arguments{
        {DNNL_ARG_SRC, pd.src_desc()},
        {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
        {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()}};
    if (shape_.bias) arguments.emplace_back(DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc());
    return {dnnl::inner_product_backward_weights(pd), arguments, pd.scratchpad_desc(), lanes_,
            shape_.name};
  }

 private:
  std::size_t bias_floats() const { return shape_.bias ? static_cast<std::size_t>(shape_.out) : 0; }
  std::size_t piece_offset() const { return (primitive_scratch_ + 63) / 64 * 64; }

  Memory src_, diff_dst_, gradient_, bias_gradient_;
  std::size_t weights_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Linear&, const CallSite& site) {
  const auto& linear = std::get<Linear>(site.op.attributes);
  LinearShape shape{site.op.name, site.shape(site.op.inputs[0]).channels, linear.out_features,
                    linear.bias};
  switch (site.call.kind) {
    case CallKind::kForward:
      return std::make_unique<LinearForward>(std::move(shape), site.binding);
    case CallKind::kBackwardData:
      return std::make_unique<LinearBackwardData>(std::move(shape), site.binding);
    case CallKind::kBackwardWeights:
      return std::make_unique<LinearBackwardWeights>(std::move(shape), site.binding);
    case CallKind::kFoldGradient:
      return make_fold_kernel(site);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
