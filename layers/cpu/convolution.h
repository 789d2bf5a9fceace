#pragma once
#include <memory>
#include <vector>

#include "layers/backend.h"
#include "layers/cpu/primitive.h"

namespace lockstep::cpu {

/// One convolution of a graph: descriptors for oneDNN, shared by its kernels. Weight layouts are
/// chosen once, by the chunk that the op likes, and fixed for every other number of images. With
/// bf16 activations weights are rounded when they are packed; weight gradients and bias are f32.
class Convolution {
 public:
  Convolution(const Graph& graph, const Op& op, LayoutKind layout, Storage activations);

  /// The convolution whose data gradient is a transposed convolution's forward: from its output to
  /// its input. Of f32.
  static Convolution transposed(const Graph& graph, const Op& op, LayoutKind layout);

  dnnl::convolution_forward::primitive_desc forward(int images) const;
  dnnl::convolution_backward_data::primitive_desc backward_data(int images) const;
  dnnl::convolution_backward_weights::primitive_desc backward_weights(int images) const;

  const std::string& name() const { return name_; }
  bool has_bias() const { return bias_; }
  bool needs_data_gradient() const { return data_gradient_; }
  bool is_transposed() const { return transposed_; }
  dnnl::memory::desc plain_weights() const;  // f32 [K,C/g,kh,kw], row-major
  dnnl::memory::desc packed_weights() const { return packed_; }
  dnnl::memory::desc packed_weights_backward() const { return packed_backward_; }
  dnnl::memory::desc lane_gradient() const { return lane_gradient_; }
  std::int64_t weight_count() const;
  /// Of an image that lies in memory as f32 and is rounded for the primitives, which want bf16: the
  /// network's input; else 0.
  std::size_t rounded_elements() const { return rounded_elements_; }
  std::size_t bias_count() const {
    return bias_ ? static_cast<std::size_t>(attributes_.out_channels) : 0;
  }

 private:
  using desc = dnnl::memory::desc;
  struct Sides {
    ValueId src, dst;
    bool transposed;
  };
  Convolution(const Graph& graph, const Op& op, const Conv2d& attributes, Sides sides,
              LayoutKind layout, Storage activations);
  void refuse_wrong_results() const;
  desc src(int images) const;
  desc dst(int images) const;
  desc bias() const;
  dnnl::convolution_forward::primitive_desc forward_with(int images, const desc& weights) const;
  dnnl::convolution_forward::primitive_desc hint(int images) const;  // for the backward passes
  dnnl::convolution_backward_data::primitive_desc backward_data_with(int images,
                                                                     const desc& weights) const;
  dnnl::convolution_backward_weights::primitive_desc backward_weights_with(
      int images, const desc& weights) const;

  std::string name_;
  Conv2d attributes_;
  Shape in_, out_;
  dnnl::memory::data_type type_;  // of activations and packed weights
  std::size_t rounded_elements_;
  int src_block_, dst_block_;
  bool planar_src_, bias_, data_gradient_, transposed_;
  desc packed_, packed_backward_, lane_gradient_;
};

/// Kernels of one convolution: kForward, kBackwardData, kBackwardWeights, kPackWeights(Backward),
/// kFoldGradient.
std::unique_ptr<Kernel> make_convolution_kernel(std::shared_ptr<const Convolution> convolution,
                                                const Call& call, Binding binding);

/// The same of a transposed convolution: each kind is another one of the convolution that it
/// transposes.
std::unique_ptr<Kernel> make_transposed_kernel(std::shared_ptr<const Convolution> convolution,
                                               const Call& call, const Binding& binding);

}  // namespace lockstep::cpu
