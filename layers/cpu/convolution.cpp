#include "layers/cpu/convolution.h"

#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

using dnnl::memory;
using tag = memory::format_tag;
constexpr auto kF32 = memory::data_type::f32, kBf16 = memory::data_type::bf16;

}  // namespace

Convolution::Convolution(const Graph& graph, const Op& op, LayoutKind layout, Storage activations)
    : Convolution(graph, op, std::get<Conv2d>(op.attributes), {op.inputs[0], op.output, false},
                  layout, activations) {}

Convolution Convolution::transposed(const Graph& graph, const Op& op, LayoutKind layout) {
  const auto& c = std::get<ConvTranspose2d>(op.attributes);
  const Conv2d other_way{.out_channels = graph.value(op.inputs[0]).shape.channels,
                         .kernel = c.kernel,
                         .stride = c.stride,
                         .padding = c.padding};
  return {graph, op, other_way, {op.output, op.inputs[0], true}, layout, Storage::kF32};
}

Convolution::Convolution(const Graph& graph, const Op& op, const Conv2d& attributes, Sides sides,
                         LayoutKind layout, Storage activations)
    : name_(op.name),
      attributes_(attributes),
      in_(graph.value(sides.src).shape),
      out_(graph.value(sides.dst).shape),
      type_(activations == Storage::kBf16 ? kBf16 : kF32),
      rounded_elements_(activations == value_storage(graph, sides.src, activations)
                            ? 0
                            : static_cast<std::size_t>(in_.elements())),
      src_block_(value_block(graph, sides.src, layout)),
      dst_block_(value_block(graph, sides.dst, layout)),
      planar_src_(sides.src == graph.input() && planar_input(layout)),
      bias_(attributes_.bias),
      data_gradient_(sides.src != graph.input()),
      transposed_(sides.transposed) {
  refuse_wrong_results();
  // The layout of weights depends on the number of threads: it must be the one that lanes run with,
  // or oneDNN has only its reference kernel for it.
  const SingleThreaded one_thread;
  const memory::dims weights = plain_weights().get_dims();
  const memory::desc any(weights, type_, tag::any), any_gradient(weights, kF32, tag::any);
  const int few = chunk_images(graph, op, false, activations);
  const auto forward_desc = forward_with(few, any);
  packed_ = forward_desc.weights_desc();
  refuse_reference(forward_desc.impl_info_str(), name_ + " (forward)");
  if (data_gradient_) {
    const auto data_desc = backward_data_with(few, any);
    packed_backward_ = data_desc.weights_desc();
    refuse_reference(data_desc.impl_info_str(), name_ + " (data gradient)");
  }
  const auto weights_desc =
      backward_weights_with(chunk_images(graph, op, true, activations), any_gradient);
  lane_gradient_ = weights_desc.diff_weights_desc();
  refuse_reference(weights_desc.impl_info_str(), name_ + " (weight gradient)");
}

/// oneDNN 3.2 with avx512_bf16 reads beyond its scratchpad there, and gives garbage.
void Convolution::refuse_wrong_results() const {
  if (type_ == kBf16 && attributes_.kernel > 1 && in_.width < attributes_.stride)
    throw InternalError(name_ +
                        ": oneDNN's bf16 weight gradient is wrong for images narrower than "
                        "the stride");
}

memory::desc Convolution::plain_weights() const {
  const int g = attributes_.groups, k = attributes_.kernel;
  if (g == 1) return {{attributes_.out_channels, in_.channels, k, k}, kF32, tag::oihw};
  return {{g, attributes_.out_channels / g, in_.channels / g, k, k}, kF32, tag::goihw};
}

std::int64_t Convolution::weight_count() const {
  return static_cast<std::int64_t>(attributes_.out_channels) * (in_.channels / attributes_.groups) *
         attributes_.kernel * attributes_.kernel;
}

memory::desc Convolution::src(int images) const {
  return {{images, in_.channels, in_.height, in_.width},
          type_,
          planar_src_ ? tag::nchw : activation_tag(src_block_)};
}

memory::desc Convolution::dst(int images) const {
  return {{images, out_.channels, out_.height, out_.width}, type_, activation_tag(dst_block_)};
}

memory::desc Convolution::bias() const {
  return bias_ ? memory::desc({attributes_.out_channels}, kF32, tag::x) : memory::desc();
}

dnnl::convolution_forward::primitive_desc Convolution::forward(int images) const {
  return forward_with(images, packed_);
}

dnnl::convolution_backward_data::primitive_desc Convolution::backward_data(int images) const {
  return backward_data_with(images, packed_backward_);
}

dnnl::convolution_backward_weights::primitive_desc Convolution::backward_weights(int images) const {
  return backward_weights_with(images, lane_gradient_);
}

dnnl::convolution_forward::primitive_desc Convolution::forward_with(int images,
                                                                    const desc& weights) const {
  return create_primitive(name_, [&] {
    const memory::dims stride{attributes_.stride, attributes_.stride};
    const memory::dims padding{attributes_.padding, attributes_.padding};
    return dnnl::convolution_forward::primitive_desc(
        cpu_engine(), dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct,
        src(images), weights, bias(), dst(images), stride, padding, padding, user_scratchpad());
  });
}

dnnl::convolution_forward::primitive_desc Convolution::hint(int images) const {
  const memory::dims stride{attributes_.stride, attributes_.stride};
  const memory::dims padding{attributes_.padding, attributes_.padding};
  const memory::desc any(plain_weights().get_dims(), type_, tag::any);
  return {cpu_engine(),
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          src(images),
          any,
          bias(),
          dst(images),
          stride,
          padding,
          padding};
}

dnnl::convolution_backward_data::primitive_desc Convolution::backward_data_with(
    int images, const desc& weights) const {
  return create_primitive(name_, [&] {
    const memory::dims stride{attributes_.stride, attributes_.stride};
    const memory::dims padding{attributes_.padding, attributes_.padding};
    return dnnl::convolution_backward_data::primitive_desc(
        cpu_engine(), dnnl::algorithm::convolution_direct, src(images), weights, dst(images),
        stride, padding, padding, hint(images), user_scratchpad());
  });
}

dnnl::convolution_backward_weights::primitive_desc Convolution::backward_weights_with(
    int images, const desc& weights) const {
  return create_primitive(name_, [&] {
    const memory::dims stride{attributes_.stride, attributes_.stride};
    const memory::dims padding{attributes_.padding, attributes_.padding};
    return dnnl::convolution_backward_weights::primitive_desc(
        cpu_engine(), dnnl::algorithm::convolution_direct, src(images), weights, bias(),
        dst(images), stride, padding, padding, hint(images), user_scratchpad());
  });
}

}  // namespace lockstep::cpu
