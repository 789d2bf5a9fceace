#pragma once
#include "tests/reference/activations.h"
#include "tests/reference/tensor.h"

namespace lockstep::reference {

// Ops that map each element on its own, or multiply it by a factor. Where backward takes `src`, it
// is the forward's input.

/// By the twins of activations.h.
Tensor activation(const Tensor& src, ActivationKind kind, double alpha = 0);
Tensor activation_backward(const Tensor& src, const Tensor& diff_dst, ActivationKind kind,
                           double alpha = 0);

/// a + b, of the same dims. The gradient of both is diff_dst.
Tensor add(const Tensor& a, const Tensor& b);

/// alpha * src; its own backward, applied to diff_dst.
Tensor scale(const Tensor& src, double alpha);

/// src * mask / (1 - probability), the mask of 0 and 1 given; its own backward.
Tensor dropout(const Tensor& src, const Tensor& mask, double probability);

/// Image n of src [N,...] times factors[n] (0 or 1/keep); its own backward.
Tensor stochastic_depth(const Tensor& src, const std::vector<double>& factors);

struct LerpGradients {
  Tensor start, end, weight;
};

/// start + weight * (end - start), of the same dims.
Tensor lerp(const Tensor& start, const Tensor& end, const Tensor& weight);
LerpGradients lerp_backward(const Tensor& start, const Tensor& end, const Tensor& weight,
                            const Tensor& diff_dst);

struct ChannelScaleGradients {
  Tensor src, gate;
};

/// Squeeze-excitation's product: dst[n,c,h,w] = src[n,c,h,w] * gate[n,c]. gate: [N,C] or [N,C,1,1]; or
/// of a whole image, [N,1] or [N,1,1,1].
Tensor channel_scale(const Tensor& src, const Tensor& gate);
ChannelScaleGradients channel_scale_backward(const Tensor& src, const Tensor& gate,
                                             const Tensor& diff_dst);

/// Gates of images: 1 where odds + noise > 0, else 0; noise of the same dims is given.
Tensor image_gate(const Tensor& odds, const Tensor& noise);

/// The rate of open gates that a loss asks for: weight * sum over images of (sigmoid(odds) - rate)^2.
struct GateRate {
  double rate = 0.5;
  double weight = 0;  // over the images, where the loss is a mean
};
double image_gate_loss(const Tensor& odds, const GateRate& rate);

/// Straight through: diff_dst times the slope of sigmoid(odds + noise); and that loss's gradient.
Tensor image_gate_backward(const Tensor& odds, const Tensor& noise, const Tensor& diff_dst,
                           const GateRate& rate);

}  // namespace lockstep::reference
