#include <algorithm>
#include <map>

#include "layers/cpu/convolution.h"
#include "layers/cpu/kernels.h"
#include "layers/cpu/lane_fold.h"

namespace lockstep::cpu {

namespace {

using ConvolutionPtr = std::shared_ptr<const Convolution>;

/// Primitives by number of images; filled by prepare(), read by run().
class PrimitivesBySize {
 public:
  template <class Create>
  void prepare(int images, Create create) {
    const auto index = static_cast<std::size_t>(images);
    if (primitives_.size() <= index) primitives_.resize(index + 1);
    if (!primitives_[index].empty()) return;
    const SingleThreaded one_thread;
    primitives_[index] = create();
    scratch_bytes_ = std::max(scratch_bytes_, primitives_[index].scratch_bytes());
  }
  const LanePrimitive& of(int images) const {
    return primitives_[static_cast<std::size_t>(images)];
  }
  std::size_t scratch_bytes() const { return scratch_bytes_; }
  std::size_t most_images() const { return primitives_.empty() ? 0 : primitives_.size() - 1; }

 private:
  std::vector<LanePrimitive> primitives_;
  std::size_t scratch_bytes_ = 0;
};

std::size_t aligned(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

/// Where a convolution's source lies: in the value's memory or, if that has to be rounded to bf16,
/// in the lane's scratch.
class Source {
 public:
  Source(const Convolution& c, const Memory& memory)
      : memory_(memory), rounded_elements_(c.rounded_elements()) {}

  std::size_t scratch_bytes(std::size_t images) const {
    return images * rounded_elements_ * sizeof(Bf16);
  }
  const void* of(const Lane& lane, const Range& range, std::byte* scratch) const {
    if (rounded_elements_ == 0) return memory_.at<std::byte>(lane, range);
    auto* rounded = reinterpret_cast<Bf16*>(scratch);
    const auto images = static_cast<std::size_t>(range.last - range.first);
    kernels().round_to_bf16(images * rounded_elements_, memory_.at(lane, range), rounded);
    return rounded;
  }

 private:
  Memory memory_;
  std::size_t rounded_elements_;
};

class ConvolutionForward : public Kernel {
 public:
  ConvolutionForward(ConvolutionPtr c, const Binding& b)
      : convolution_(std::move(c)),
        lanes_(b.lanes),
        src_(*convolution_, b[Role::kSrc]),
        dst_(b[Role::kDst]),
        weights_(b[Role::kPacked].of_lane<std::byte>()) {
    if (convolution_->has_bias()) bias_ = b[Role::kBias].of_lane();
  }

  void prepare(int images) override {
    primitives_.prepare(images, [&] {
      const auto pd = convolution_->forward(images);
      std::vector<std::pair<int, dnnl::memory::desc>> arguments{
          {DNNL_ARG_SRC, pd.src_desc()},
          {DNNL_ARG_WEIGHTS, pd.weights_desc()},
          {DNNL_ARG_DST, pd.dst_desc()}};
      if (bias_) arguments.emplace_back(DNNL_ARG_BIAS, pd.bias_desc());
      return LanePrimitive(dnnl::convolution_forward(pd), arguments, pd.scratchpad_desc(), lanes_,
                           convolution_->name());
    });
  }
  /// [the primitive's scratchpad][a rounded source]
  std::size_t scratch_bytes() const override {
    return src_offset() + src_.scratch_bytes(primitives_.most_images());
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const LanePrimitive& p = primitives_.of(range.last - range.first);
    const void* src = src_.of(lane, range, lane.scratch + src_offset());
    const void* dst = dst_.at<std::byte>(lane, range);
    if (bias_)
      p.run(lane.index, {src, weights_, dst, bias_}, lane.scratch);
    else
      p.run(lane.index, {src, weights_, dst}, lane.scratch);
  }

 private:
  std::size_t src_offset() const { return aligned(primitives_.scratch_bytes()); }

  ConvolutionPtr convolution_;
  int lanes_;
  Source src_;
  Memory dst_;
  const std::byte* weights_;
  const float* bias_ = nullptr;
  PrimitivesBySize primitives_;
};

class ConvolutionBackwardData : public Kernel {
 public:
  ConvolutionBackwardData(ConvolutionPtr c, const Binding& b)
      : convolution_(std::move(c)),
        lanes_(b.lanes),
        diff_dst_(b[Role::kDiffDst]),
        diff_src_(b[Role::kDiffSrc]),
        weights_(b[Role::kPacked].of_lane<std::byte>()) {}

  void prepare(int images) override {
    primitives_.prepare(images, [&] {
      const auto pd = convolution_->backward_data(images);
      return LanePrimitive(dnnl::convolution_backward_data(pd),
                           {{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
                            {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                            {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}},
                           pd.scratchpad_desc(), lanes_, convolution_->name());
    });
  }
  std::size_t scratch_bytes() const override { return primitives_.scratch_bytes(); }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    primitives_.of(range.last - range.first)
        .run(lane.index,
             {diff_dst_.at<std::byte>(lane, range), weights_, diff_src_.at<std::byte>(lane, range)},
             lane.scratch);
  }

 private:
  ConvolutionPtr convolution_;
  int lanes_;
  Memory diff_dst_, diff_src_;
  const std::byte* weights_;
  PrimitivesBySize primitives_;
};

/// Writes the lane's gradient with its first piece, adds the later ones: oneDNN cannot accumulate.
class ConvolutionBackwardWeights : public Kernel {
 public:
  ConvolutionBackwardWeights(ConvolutionPtr c, const Binding& b)
      : convolution_(std::move(c)),
        lanes_(b.lanes),
        src_(*convolution_, b[Role::kSrc]),
        diff_dst_(b[Role::kDiffDst]),
        gradient_(b[Role::kLaneGradient]),
        gradient_bytes_(convolution_->lane_gradient().get_size()) {
    if (convolution_->has_bias()) {
      bias_gradient_ = b[Role::kLaneBiasGradient];
      bias_floats_ = convolution_->bias_count();
    }
  }

  void prepare(int images) override {
    primitives_.prepare(images, [&] {
      const auto pd = convolution_->backward_weights(images);
      std::vector<std::pair<int, dnnl::memory::desc>> arguments{
          {DNNL_ARG_SRC, pd.src_desc()},
          {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()},
          {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()}};
      if (bias_floats_) arguments.emplace_back(DNNL_ARG_DIFF_BIAS, pd.diff_bias_desc());
      return LanePrimitive(dnnl::convolution_backward_weights(pd), arguments, pd.scratchpad_desc(),
                           lanes_, convolution_->name());
    });
  }

  /// [the primitive's scratchpad][a piece's gradient][a piece's bias gradient][a rounded source]
  std::size_t scratch_bytes() const override {
    return src_offset() + src_.scratch_bytes(primitives_.most_images());
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    const bool first = range.first == lane.begin;
    float* lane_gradient = gradient_.of_lane(lane.index);
    float* piece = reinterpret_cast<float*>(lane.scratch + piece_offset());
    float* out = first ? lane_gradient : piece;
    const LanePrimitive& p = primitives_.of(range.last - range.first);
    const void* src = src_.of(lane, range, lane.scratch + src_offset());
    const void* diff_dst = diff_dst_.at<std::byte>(lane, range);
    if (bias_floats_ == 0) {
      p.run(lane.index, {src, diff_dst, out}, lane.scratch);
    } else {
      float* lane_bias = bias_gradient_.of_lane(lane.index);
      float* piece_bias = reinterpret_cast<float*>(lane.scratch + bias_offset());
      p.run(lane.index, {src, diff_dst, out, first ? lane_bias : piece_bias}, lane.scratch);
      if (!first) kernels().accumulate(bias_floats_, piece_bias, lane_bias);
    }
    if (!first) kernels().accumulate(gradient_bytes_ / sizeof(float), piece, lane_gradient);
  }

 private:
  std::size_t piece_offset() const { return aligned(primitives_.scratch_bytes()); }
  std::size_t bias_offset() const { return piece_offset() + aligned(gradient_bytes_); }
  std::size_t src_offset() const { return bias_offset() + aligned(bias_floats_ * sizeof(float)); }

  ConvolutionPtr convolution_;
  int lanes_;
  Source src_;
  Memory diff_dst_, gradient_, bias_gradient_;
  std::size_t gradient_bytes_, bias_floats_ = 0;
  PrimitivesBySize primitives_;
};

LanePrimitive make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to, int lanes,
                           const std::string& name) {
  const SingleThreaded one_thread;
  return create_primitive(name, [&] {
    const dnnl::reorder::primitive_desc pd(cpu_engine(), from, cpu_engine(), to, user_scratchpad());
    return LanePrimitive(dnnl::reorder(pd), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}},
                         pd.scratchpad_desc(), lanes, name);
  });
}

class PackWeights : public Kernel {
 public:
  PackWeights(const Convolution& c, const dnnl::memory::desc& to, const Binding& b)
      : weights_(b[Role::kWeights].of_lane()),
        packed_(b[Role::kPacked].of_lane<std::byte>()),
        reorder_(make_reorder(c.plain_weights(), to, b.lanes, c.name() + " (pack)")) {}

  std::size_t scratch_bytes() const override { return reorder_.scratch_bytes(); }
  void run(const StepContext&, const Lane& lane, const Range&) override {
    reorder_.run(lane.index, {weights_, packed_}, lane.scratch);
  }

 private:
  const float* weights_;
  std::byte* packed_;
  LanePrimitive reorder_;
};

/// Adds the lanes' gradients in their order, then returns to the plain layout.
class FoldConvolutionGradient : public Kernel {
 public:
  FoldConvolutionGradient(const Convolution& c, const Binding& b)
      : lanes_(b.lanes),
        lane_gradient_(b[Role::kLaneGradient]),
        gradient_(b[Role::kGradient].of_lane()),
        lane_floats_(c.lane_gradient().get_size() / sizeof(float)),
        floats_(static_cast<std::size_t>(c.weight_count())),
        reorder_(
            make_reorder(c.lane_gradient(), c.plain_weights(), b.lanes, c.name() + " (fold)")) {
    if (!c.has_bias()) return;
    lane_bias_ = b[Role::kLaneBiasGradient];
    bias_gradient_ = b[Role::kBiasGradient].of_lane();
    bias_floats_ = c.bias_count();
  }

  /// [the reorder's scratchpad][plain gradient of this micro-batch, when it must be added]
  std::size_t scratch_bytes() const override { return plain_offset() + floats_ * sizeof(float); }

  void run(const StepContext& context, const Lane& lane, const Range&) override {
    const int home = fold_lanes(context, lanes_, lane_gradient_, lane_floats_);
    const int bias_home =
        bias_floats_ ? fold_lanes(context, lanes_, lane_bias_, bias_floats_) : home;
    if (home < 0) {  // no images on this rank
      if (!context.first_micro_batch) return;
      std::fill_n(gradient_, floats_, 0.0f);
      std::fill_n(bias_gradient_, bias_floats_, 0.0f);
      return;
    }
    const float* from = lane_gradient_.of_lane(home);
    if (context.first_micro_batch) {
      reorder_.run(lane.index, {from, gradient_}, lane.scratch);
      std::copy_n(bias_floats_ ? lane_bias_.of_lane(bias_home) : nullptr, bias_floats_,
                  bias_gradient_);
    } else {
      float* plain = reinterpret_cast<float*>(lane.scratch + plain_offset());
      reorder_.run(lane.index, {from, plain}, lane.scratch);
      kernels().accumulate(floats_, plain, gradient_);
      if (bias_floats_)
        kernels().accumulate(bias_floats_, lane_bias_.of_lane(bias_home), bias_gradient_);
    }
  }

 private:
  std::size_t plain_offset() const { return (reorder_.scratch_bytes() + 63) / 64 * 64; }

  int lanes_;
  Memory lane_gradient_, lane_bias_;
  float* gradient_;
  float* bias_gradient_ = nullptr;
  std::size_t lane_floats_, floats_, bias_floats_ = 0;
  LanePrimitive reorder_;
};

}  // namespace

std::unique_ptr<Kernel> make_convolution_kernel(ConvolutionPtr c, const Call& call, Binding b) {
  switch (call.kind) {
    case CallKind::kForward:
      return std::make_unique<ConvolutionForward>(std::move(c), b);
    case CallKind::kBackwardData:
      return std::make_unique<ConvolutionBackwardData>(std::move(c), b);
    case CallKind::kBackwardWeights:
      return std::make_unique<ConvolutionBackwardWeights>(std::move(c), b);
    case CallKind::kPackWeights:
      return std::make_unique<PackWeights>(*c, c->packed_weights(), b);
    case CallKind::kPackWeightsBackward:
      return std::make_unique<PackWeights>(*c, c->packed_weights_backward(), b);
    case CallKind::kFoldGradient:
      return std::make_unique<FoldConvolutionGradient>(*c, b);
    default:
      throw InternalError(c->name() + ": a convolution has no kernel of this kind");
  }
}

std::unique_ptr<Kernel> make_transposed_kernel(ConvolutionPtr c, const Call& call,
                                               const Binding& binding) {
  Call other = call;
  Binding swapped = binding;
  const auto rename = [&](Role from, Role to) {
    for (std::size_t i = 0; i < binding.memories.size(); ++i)
      if (binding.memories[i].first == from) swapped.memories[i].first = to;
  };
  switch (call.kind) {
    case CallKind::kForward:
      other.kind = CallKind::kBackwardData;
      rename(Role::kSrc, Role::kDiffDst);
      rename(Role::kDst, Role::kDiffSrc);
      break;
    case CallKind::kBackwardData:
      other.kind = CallKind::kForward;
      rename(Role::kDiffDst, Role::kSrc);
      rename(Role::kDiffSrc, Role::kDst);
      break;
    case CallKind::kBackwardWeights:
      rename(Role::kSrc, Role::kDiffDst);
      rename(Role::kDiffDst, Role::kSrc);
      break;
    case CallKind::kPackWeights:
      other.kind = CallKind::kPackWeightsBackward;
      break;
    case CallKind::kPackWeightsBackward:
      other.kind = CallKind::kPackWeights;
      break;
    default:
      break;
  }
  return make_convolution_kernel(std::move(c), other, swapped);
}

}  // namespace lockstep::cpu
