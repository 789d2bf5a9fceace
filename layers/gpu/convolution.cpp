#include "layers/gpu/convolution.h"

#include <algorithm>
#include <array>

namespace lockstep::gpu {

namespace {

std::string describe(const std::string& name, const Conv2d& a, const ConvolutionShape& s,
                     Storage storage) {
  const auto t = [](int i) { return std::to_string(i); };
  return name + " (conv2d src [" + t(s.images) + "," + t(s.height) + "," + t(s.width) + "," +
         t(s.channels) + "], " + t(a.out_channels) + " channels, kernel " + t(a.kernel) +
         ", stride " + t(a.stride) + ", padding " + t(a.padding) + ", groups " + t(a.groups) +
         (storage == Storage::kBf16 ? ", bf16)" : ", f32)");
}

}  // namespace

Convolution::Convolution(const Queue& queue, const std::string& name, const Conv2d& attributes,
                         const ConvolutionShape& shape, const ConvolutionOptions& options)
    : attributes_(attributes),
      shape_(shape),
      name_(describe(name, attributes, shape, options.storage)) {
  const Conv2d& a = attributes_;
  out_height_ = (shape.height + 2 * a.padding - a.kernel) / a.stride + 1;
  out_width_ = (shape.width + 2 * a.padding - a.kernel) / a.stride + 1;
  const bool bf16 = options.storage == Storage::kBf16;
  const cudnnDataType_t type = bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
  check(cudnnCreateTensorDescriptor(src_.fill()), "cudnnCreateTensorDescriptor", name_);
  check(cudnnCreateTensorDescriptor(dst_.fill()), "cudnnCreateTensorDescriptor", name_);
  check(cudnnCreateFilterDescriptor(weights_.fill()), "cudnnCreateFilterDescriptor", name_);
  check(cudnnCreateConvolutionDescriptor(convolution_.fill()), "cudnnCreateConvolutionDescriptor",
        name_);
  check(cudnnSetTensor4dDescriptor(src_.get(), CUDNN_TENSOR_NHWC, type, shape.images,
                                   shape.channels, shape.height, shape.width),
        "cudnnSetTensor4dDescriptor", name_);
  check(cudnnSetTensor4dDescriptor(dst_.get(), CUDNN_TENSOR_NHWC, type, shape.images,
                                   a.out_channels, out_height_, out_width_),
        "cudnnSetTensor4dDescriptor", name_);
  check(cudnnSetFilter4dDescriptor(weights_.get(), type, CUDNN_TENSOR_NHWC, a.out_channels,
                                   shape.channels / a.groups, a.kernel, a.kernel),
        "cudnnSetFilter4dDescriptor", name_);
  check(cudnnSetConvolution2dDescriptor(convolution_.get(), a.padding, a.padding, a.stride,
                                        a.stride, 1, 1, CUDNN_CROSS_CORRELATION, CUDNN_DATA_FLOAT),
        "cudnnSetConvolution2dDescriptor", name_);
  check(cudnnSetConvolutionGroupCount(convolution_.get(), a.groups),
        "cudnnSetConvolutionGroupCount", name_);
  const cudnnMathType_t math = bf16           ? CUDNN_TENSOR_OP_MATH
                               : options.tf32 ? CUDNN_DEFAULT_MATH
                                              : CUDNN_FMA_MATH;
  check(cudnnSetConvolutionMathType(convolution_.get(), math), "cudnnSetConvolutionMathType",
        name_);
  choose(queue, options.workspace_limit);
}

void Convolution::choose(const Queue& queue, std::size_t limit) {
  const auto first_of = [&](auto& list, int found, cudnnStatus_t status) {
    Choice choice;
    if (status != CUDNN_STATUS_SUCCESS) {
      choice.missing = cudnnGetErrorString(status);
      return choice;
    }
    for (int i = 0; i < found; ++i) {
      const auto& p = list[static_cast<std::size_t>(i)];
      if (p.status != CUDNN_STATUS_SUCCESS || p.determinism != CUDNN_DETERMINISTIC ||
          p.memory > limit)
        continue;
      return Choice{static_cast<int>(p.algo), p.memory, p.mathType, ""};
    }
    choice.missing = "none of " + std::to_string(found) + " algorithms is deterministic and fits " +
                     std::to_string(limit >> 20) + " MiB";
    return choice;
  };
  int found = 0;
  std::array<cudnnConvolutionFwdAlgoPerf_t, CUDNN_CONVOLUTION_FWD_ALGO_COUNT> forward{};
  cudnnStatus_t status = cudnnGetConvolutionForwardAlgorithm_v7(
      queue.cudnn(), src_.get(), weights_.get(), convolution_.get(), dst_.get(),
      CUDNN_CONVOLUTION_FWD_ALGO_COUNT, &found, forward.data());
  forward_ = first_of(forward, found, status);
  std::array<cudnnConvolutionBwdDataAlgoPerf_t, CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT> data{};
  status = cudnnGetConvolutionBackwardDataAlgorithm_v7(
      queue.cudnn(), weights_.get(), dst_.get(), convolution_.get(), src_.get(),
      CUDNN_CONVOLUTION_BWD_DATA_ALGO_COUNT, &found, data.data());
  backward_data_ = first_of(data, found, status);
  std::array<cudnnConvolutionBwdFilterAlgoPerf_t, CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT> filter{};
  status = cudnnGetConvolutionBackwardFilterAlgorithm_v7(
      queue.cudnn(), src_.get(), dst_.get(), convolution_.get(), weights_.get(),
      CUDNN_CONVOLUTION_BWD_FILTER_ALGO_COUNT, &found, filter.data());
  backward_weights_ = first_of(filter, found, status);
}

void Convolution::use(const Choice& choice, const char* phase) const {
  if (!choice.missing.empty())
    throw GpuError("cuDNN has no " + std::string(phase) + " for " + name_ + ": " + choice.missing +
                   ". Raise the workspace's limit, or run this model on CPUs");
  check(cudnnSetConvolutionMathType(convolution_.get(), choice.math), "cudnnSetConvolutionMathType",
        name_);
}

std::size_t Convolution::weight_elements() const {
  return static_cast<std::size_t>(attributes_.out_channels) *
         static_cast<std::size_t>(shape_.channels / attributes_.groups) *
         static_cast<std::size_t>(attributes_.kernel * attributes_.kernel);
}

std::size_t Convolution::workspace_bytes() const {
  return std::max({forward_.workspace, backward_data_.workspace, backward_weights_.workspace});
}

double Convolution::flops() const {
  return 2.0 * shape_.images * out_height_ * out_width_ * static_cast<double>(weight_elements());
}

void Convolution::forward(const Queue& queue, const void* src, const void* packed, void* dst,
                          void* workspace) const {
  use(forward_, "forward");
  const float one = 1, zero = 0;
  check(cudnnConvolutionForward(queue.cudnn(), &one, src_.get(), src, weights_.get(), packed,
                                convolution_.get(),
                                static_cast<cudnnConvolutionFwdAlgo_t>(forward_.algorithm),
                                workspace, forward_.workspace, &zero, dst_.get(), dst),
        "cudnnConvolutionForward", name_);
}

void Convolution::backward_data(const Queue& queue, const void* diff_dst, const void* packed,
                                void* diff_src, void* workspace) const {
  use(backward_data_, "backward data");
  const float one = 1, zero = 0;
  check(cudnnConvolutionBackwardData(
            queue.cudnn(), &one, weights_.get(), packed, dst_.get(), diff_dst, convolution_.get(),
            static_cast<cudnnConvolutionBwdDataAlgo_t>(backward_data_.algorithm), workspace,
            backward_data_.workspace, &zero, src_.get(), diff_src),
        "cudnnConvolutionBackwardData", name_);
}

void Convolution::backward_weights(const Queue& queue, const void* src, const void* diff_dst,
                                   void* packed_gradient, void* workspace) const {
  use(backward_weights_, "backward weights");
  const float one = 1, zero = 0;
  check(cudnnConvolutionBackwardFilter(
            queue.cudnn(), &one, src_.get(), src, dst_.get(), diff_dst, convolution_.get(),
            static_cast<cudnnConvolutionBwdFilterAlgo_t>(backward_weights_.algorithm), workspace,
            backward_weights_.workspace, &zero, weights_.get(), packed_gradient),
        "cudnnConvolutionBackwardFilter", name_);
}

std::string Convolution::algorithms() const {
  const auto text = [](const Choice& c) {
    return c.missing.empty()
               ? std::to_string(c.algorithm) + "/m" + std::to_string(static_cast<int>(c.math)) +
                     "/" + std::to_string(c.workspace >> 10) + "KiB"
               : "none (" + c.missing + ")";
  };
  return "forward " + text(forward_) + ", backward data " + text(backward_data_) +
         ", backward weights " + text(backward_weights_);
}

}  // namespace lockstep::gpu
