#pragma once
#include <string>

#include "layers/call.h"
#include "layers/gpu/device.h"
#include "layers/ops/conv2d.h"

namespace lockstep::gpu {

/// Images of a convolution: src [N,H,W,C].
struct ConvolutionShape {
  int images = 0, channels = 0, height = 0, width = 0;
};

struct ConvolutionOptions {
  Storage storage = Storage::kF32;
  bool tf32 = false;                                   // f32 on tensor cores, 10 bits of mantissa
  std::size_t workspace_limit = std::size_t{1} << 30;  // bytes that an algorithm may take
};

/// A 2-D convolution by cuDNN, nhwc; strided, grouped, depthwise. Of cuDNN's algorithms the first of its
/// heuristics' order that is deterministic and fits the workspace: no measuring, so every run takes the same.
/// Weights are packed [K,kernel,kernel,C/groups] and stored as the images are.
/// @throws GpuError that names `name` and the shapes where cuDNN has no such algorithm.
class Convolution {
 public:
  Convolution(const Queue& queue, const std::string& name, const Conv2d& attributes,
              const ConvolutionShape& shape, const ConvolutionOptions& options = {});

  int out_height() const { return out_height_; }
  int out_width() const { return out_width_; }
  std::size_t weight_elements() const;
  /// Of all three phases, the largest; fixed once constructed.
  std::size_t workspace_bytes() const;
  double flops() const;  // of one phase

  void forward(const Queue& queue, const void* src, const void* packed, void* dst,
               void* workspace) const;
  void backward_data(const Queue& queue, const void* diff_dst, const void* packed, void* diff_src,
                     void* workspace) const;
  /// packed_gradient: stored as the images are (bf16: rounded once, after f32 sums).
  void backward_weights(const Queue& queue, const void* src, const void* diff_dst,
                        void* packed_gradient, void* workspace) const;

  /// "forward 1, backward data 1, backward weights 1": cuDNN's numbers.
  std::string algorithms() const;

 private:
  struct Choice {
    int algorithm = 0;
    std::size_t workspace = 0;
    cudnnMathType_t math = CUDNN_DEFAULT_MATH;
    std::string missing;  // why there is none
  };
  void choose(const Queue& queue, std::size_t limit);
  void use(const Choice& choice, const char* phase) const;

  Conv2d attributes_;
  ConvolutionShape shape_;
  int out_height_ = 0, out_width_ = 0;
  std::string name_;
  Owned<cudnnTensorDescriptor_t, cudnnDestroyTensorDescriptor> src_, dst_;
  Owned<cudnnFilterDescriptor_t, cudnnDestroyFilterDescriptor> weights_;
  Owned<cudnnConvolutionDescriptor_t, cudnnDestroyConvolutionDescriptor> convolution_;
  Choice forward_, backward_data_, backward_weights_;
};

/// kPackWeights: weights f32 [K,C,kernel,kernel] -> packed [K,kernel,kernel,C].
template <class T>
void pack_weights(const Queue& queue, int out_channels, int channels, int taps,
                  const float* weights, T* packed);
/// kFoldGradient: packed -> gradient f32 [K,C,kernel,kernel], written or added.
template <class T>
void fold_gradient(const Queue& queue, int out_channels, int channels, int taps, const T* packed,
                   bool first, float* gradient);

}  // namespace lockstep::gpu
