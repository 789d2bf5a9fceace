#include <algorithm>
#include <cmath>

#include "layers/cpu/bf16.h"
#include "layers/cpu/kernel_factories.h"
#include "layers/cpu/primitive.h"

namespace lockstep::cpu {

namespace {

using dnnl::memory;
using tag = memory::format_tag;
constexpr auto kF32 = memory::data_type::f32;

/// One image at a time, all heads together, in f32: queries, keys and values are copied head by
/// head to [heads, pixels, features] (so that every CPU has a fast product for them), queries times
/// 1/sqrt(features). The softmax of the scores is kept for backward, [heads, pixels, pixels].
struct AttentionShape {
  std::string name;
  memory::dim heads, pixels, features;  // features of a head
  int lanes;

  explicit AttentionShape(const CallSite& site)
      : name(site.op.name),
        heads(std::get<Attention>(site.op.attributes).heads),
        pixels(site.shape(site.op.output).pixels()),
        features(site.shape(site.op.output).channels / heads),
        lanes(site.binding.lanes) {}

  std::size_t matrix() const { return static_cast<std::size_t>(heads * pixels * features); }
  std::size_t scores() const { return static_cast<std::size_t>(heads * pixels * pixels); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(features)); }

  struct Matrix {
    memory::dim rows, columns;
    bool transposed = false;  // it lies in memory as [columns, rows]
  };
  /// a b, for every head.
  LanePrimitive product(const Matrix& a, const Matrix& b) const {
    const SingleThreaded one_thread;
    const auto desc = [&](const Matrix& m) {
      return memory::desc({heads, m.rows, m.columns}, kF32, m.transposed ? tag::acb : tag::abc);
    };
    return create_primitive(name, [&] {
      const dnnl::matmul::primitive_desc pd(cpu_engine(), desc(a), desc(b),
                                            desc({a.rows, b.columns}), user_scratchpad());
      refuse_reference(pd.impl_info_str(), name);
      return LanePrimitive(dnnl::matmul(pd),
                           {{DNNL_ARG_SRC, pd.src_desc()},
                            {DNNL_ARG_WEIGHTS, pd.weights_desc()},
                            {DNNL_ARG_DST, pd.dst_desc()}},
                           pd.scratchpad_desc(), lanes, name);
    });
  }
  LanePrimitive softmax() const {
    const SingleThreaded one_thread;
    return create_primitive(name, [&] {
      const memory::desc scores({heads, pixels, pixels}, kF32, tag::abc);
      const dnnl::softmax_forward::primitive_desc pd(
          cpu_engine(), dnnl::prop_kind::forward_training, dnnl::algorithm::softmax_accurate,
          scores, scores, 2, user_scratchpad());
      refuse_reference(pd.impl_info_str(), name);
      return LanePrimitive(dnnl::softmax_forward(pd),
                           {{DNNL_ARG_SRC, scores}, {DNNL_ARG_DST, scores}}, pd.scratchpad_desc(),
                           lanes, name);
    });
  }
};

/// Part `part` of `parts` of an image's channels, [pixels][parts*heads*features], head by head.
template <class T>
void split_heads(const AttentionShape& s, const T* image, memory::dim part, memory::dim parts,
                 float factor, float* heads) {
  const memory::dim channels = s.heads * s.features;
  for (memory::dim h = 0; h < s.heads; ++h)
    for (memory::dim p = 0; p < s.pixels; ++p, heads += s.features) {
      const T* from = image + p * parts * channels + part * channels + h * s.features;
      for (memory::dim f = 0; f < s.features; ++f) heads[f] = factor * widened(from[f]);
    }
}

template <class T>
void join_heads(const AttentionShape& s, const float* heads, memory::dim part, memory::dim parts,
                float factor, T* image) {
  const memory::dim channels = s.heads * s.features;
  for (memory::dim h = 0; h < s.heads; ++h)
    for (memory::dim p = 0; p < s.pixels; ++p, heads += s.features) {
      T* to = image + p * parts * channels + part * channels + h * s.features;
      for (memory::dim f = 0; f < s.features; ++f) to[f] = rounded<T>(factor * heads[f]);
    }
}

/// What both directions have: the lane's scratch as [queries][keys][values][more][a primitive's].
class AttentionKernel : public Kernel {
 public:
  explicit AttentionKernel(const CallSite& site)
      : shape_(site), src_(site.binding[Role::kSrc]), workspace_(site.binding[Role::kWorkspace]) {}

  std::size_t scratch_bytes() const override {
    return floats_ * sizeof(float) + primitive_scratch_;
  }

 protected:
  /// `floats`: of scratch before the primitives'; aligned for these.
  void set_scratch(std::size_t floats, std::initializer_list<const LanePrimitive*> primitives) {
    floats_ = (floats + 15) / 16 * 16;
    for (const LanePrimitive* p : primitives)
      primitive_scratch_ = std::max(primitive_scratch_, p->scratch_bytes());
  }
  float* scratch(const Lane& lane, std::size_t matrix) const {
    return reinterpret_cast<float*>(lane.scratch) + matrix * shape_.matrix();
  }
  std::byte* primitive_scratch(const Lane& lane) const {
    return lane.scratch + floats_ * sizeof(float);
  }
  template <class T>
  void split_source(const Lane& lane, const T* image) const {
    for (memory::dim part = 0; part < 3; ++part)
      split_heads(shape_, image, part, 3, part == 0 ? shape_.scale() : 1.0f,
                  scratch(lane, static_cast<std::size_t>(part)));
  }

  AttentionShape shape_;
  Memory src_, workspace_;

 private:
  std::size_t floats_ = 0, primitive_scratch_ = 0;
};

/// scores = q k^T, p = softmax(scores) into the workspace, dst = p v.
template <class T>
class AttentionForward : public AttentionKernel {
 public:
  explicit AttentionForward(const CallSite& site)
      : AttentionKernel(site), dst_(site.binding[Role::kDst]) {
    const AttentionShape& s = shape_;
    scores_ = s.product({s.pixels, s.features}, {s.features, s.pixels, true});
    sum_ = s.product({s.pixels, s.pixels}, {s.pixels, s.features});
    softmax_ = s.softmax();
    set_scratch(4 * s.matrix(), {&scores_, &sum_, &softmax_});
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    float *q = scratch(lane, 0), *k = scratch(lane, 1), *v = scratch(lane, 2),
          *y = scratch(lane, 3);
    std::byte* own = primitive_scratch(lane);
    for (Range image = range; image.first < range.last; ++image.first) {
      float* p = workspace_.at(lane, image);
      split_source(lane, src_.at<T>(lane, image));
      scores_.run(lane.index, {q, k, p}, own);
      softmax_.run(lane.index, {p, p}, own);
      sum_.run(lane.index, {p, v, y}, own);
      join_heads(shape_, y, 0, 1, 1.0f, dst_.at<T>(lane, image));
    }
  }

 private:
  Memory dst_;
  LanePrimitive scores_, softmax_, sum_;
};

/// dv = p^T dy, dp = dy v^T, ds = p * (dp - rows' sums of p*dp), dq = ds k, dk = ds^T q.
template <class T>
class AttentionBackward : public AttentionKernel {
 public:
  explicit AttentionBackward(const CallSite& site)
      : AttentionKernel(site),
        diff_dst_(site.binding[Role::kDiffDst]),
        diff_src_(site.binding[Role::kDiffSrc]) {
    const AttentionShape& s = shape_;
    values_ = s.product({s.pixels, s.pixels, true}, {s.pixels, s.features});
    scores_ = s.product({s.pixels, s.features}, {s.features, s.pixels, true});
    queries_ = s.product({s.pixels, s.pixels}, {s.pixels, s.features});
    set_scratch(5 * s.matrix() + s.scores(), {&values_, &scores_, &queries_});
  }

  void run(const StepContext&, const Lane& lane, const Range& range) override {
    float *q = scratch(lane, 0), *k = scratch(lane, 1), *v = scratch(lane, 2);
    float *dy = scratch(lane, 3), *diff = scratch(lane, 4), *ds = scratch(lane, 5);
    std::byte* own = primitive_scratch(lane);
    for (Range image = range; image.first < range.last; ++image.first) {
      const float* p = workspace_.at(lane, image);
      T* dx = diff_src_.at<T>(lane, image);
      split_source(lane, src_.at<T>(lane, image));
      split_heads(shape_, diff_dst_.at<T>(lane, image), 0, 1, 1.0f, dy);
      values_.run(lane.index, {p, dy, diff}, own);
      join_heads(shape_, diff, 2, 3, 1.0f, dx);
      scores_.run(lane.index, {dy, v, ds}, own);
      kernels().softmax_backward(static_cast<std::size_t>(shape_.heads * shape_.pixels),
                                 static_cast<std::size_t>(shape_.pixels), p, ds, ds);
      queries_.run(lane.index, {ds, k, diff}, own);
      join_heads(shape_, diff, 0, 3, shape_.scale(), dx);
      values_.run(lane.index, {ds, q, diff}, own);
      join_heads(shape_, diff, 1, 3, 1.0f, dx);
    }
  }

 private:
  Memory diff_dst_, diff_src_;
  LanePrimitive values_, scores_, queries_;
};

}  // namespace

std::unique_ptr<Kernel> make_kernel(const Attention&, const CallSite& site) {
  const Storage storage = site.storage(site.op.output);
  switch (site.call.kind) {
    case CallKind::kForward:
      return make_stored<AttentionForward>(storage, site);
    case CallKind::kBackwardData:
      return make_stored<AttentionBackward>(storage, site);
    default:
      site.no_kernel();
  }
}

}  // namespace lockstep::cpu
