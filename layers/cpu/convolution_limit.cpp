#include "layers/cpu/convolution_limit.h"

#include <omp.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include "data/timing.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/cpu/primitive.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

using dnnl::memory;
using tag = memory::format_tag;
constexpr auto kF32 = memory::data_type::f32;

enum class Pass { kForward, kDataGradient, kWeightGradient };

/// OpenMP's threads for primitives that are created or run in this scope.
class Threads {
 public:
  explicit Threads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// What a pass reads and writes: two inputs and an output.
struct Arguments {
  std::pair<int, memory::desc> first, second, output;
};

struct Candidate {
  dnnl::primitive primitive;
  Arguments arguments;
  memory::desc scratchpad;
};

/// One convolution's shapes, and descriptors of its passes in a layout.
struct Shapes {
  memory::dims src, weights, dst, stride, padding;
  memory::data_type type;  // of activations and weights

  Shapes(const Graph& graph, const Op& op, int images, Storage activations)
      : type(activations == Storage::kBf16 ? memory::data_type::bf16 : kF32) {
    const auto& conv = std::get<Conv2d>(op.attributes);
    const Shape& in = graph.value(op.inputs[0]).shape;
    const Shape& out = graph.value(op.output).shape;
    const int g = conv.groups, k = conv.kernel;
    src = {images, in.channels, in.height, in.width};
    dst = {images, out.channels, out.height, out.width};
    weights = g == 1 ? memory::dims{out.channels, in.channels, k, k}
                     : memory::dims{g, out.channels / g, in.channels / g, k, k};
    stride = {conv.stride, conv.stride};
    padding = {conv.padding, conv.padding};
  }

  /// What makes convolutions equal here.
  std::string key(bool data_gradient) const {
    std::string text = data_gradient ? "inner" : "first";
    for (const auto* dims : {&src, &weights, &dst, &stride, &padding})
      for (memory::dim d : *dims) text += " " + std::to_string(d);
    return text;
  }

  Candidate candidate(Pass pass, tag src_tag, tag dst_tag) const {
    const memory::desc x(src, type, src_tag), y(dst, type, dst_tag), w(weights, type, tag::any);
    const auto direct = dnnl::algorithm::convolution_direct;
    const dnnl::convolution_forward::primitive_desc forward(
        cpu_engine(), dnnl::prop_kind::forward_training, direct, x, w, y, stride, padding, padding,
        user_scratchpad());
    if (pass == Pass::kForward) {
      refuse_reference(forward.impl_info_str(), "forward");
      return {dnnl::convolution_forward(forward),
              {{DNNL_ARG_SRC, forward.src_desc()},
               {DNNL_ARG_WEIGHTS, forward.weights_desc()},
               {DNNL_ARG_DST, forward.dst_desc()}},
              forward.scratchpad_desc()};
    }
    if (pass == Pass::kDataGradient) {
      const dnnl::convolution_backward_data::primitive_desc data(
          cpu_engine(), direct, x, w, y, stride, padding, padding, forward, user_scratchpad());
      refuse_reference(data.impl_info_str(), "data gradient");
      return {dnnl::convolution_backward_data(data),
              {{DNNL_ARG_DIFF_DST, data.diff_dst_desc()},
               {DNNL_ARG_WEIGHTS, data.weights_desc()},
               {DNNL_ARG_DIFF_SRC, data.diff_src_desc()}},
              data.scratchpad_desc()};
    }
    const dnnl::convolution_backward_weights::primitive_desc gradient(
        cpu_engine(), direct, x, memory::desc(weights, kF32, tag::any), y, stride, padding, padding,
        forward, user_scratchpad());
    refuse_reference(gradient.impl_info_str(), "weight gradient");
    return {dnnl::convolution_backward_weights(gradient),
            {{DNNL_ARG_SRC, gradient.src_desc()},
             {DNNL_ARG_DIFF_DST, gradient.diff_dst_desc()},
             {DNNL_ARG_DIFF_WEIGHTS, gradient.diff_weights_desc()}},
            gradient.scratchpad_desc()};
  }
};

std::optional<Candidate> try_candidate(const Shapes& shapes, Pass pass, tag src, tag dst) {
  try {
    return shapes.candidate(pass, src, dst);
  } catch (const dnnl::error&) {
  } catch (const InternalError&) {  // a reference implementation
  }
  return std::nullopt;
}

}  // namespace

/// What all primitives read and write, one after another; it grows with the largest.
class ConvolutionLimit::Memory {
 public:
  struct Pointers {
    void *first, *second, *output, *scratch;
  };
  Pointers at_least(const Candidate& c) {
    return {grown(first_, c.arguments.first.second, 0.5f),
            grown(second_, c.arguments.second.second, 0.01f),
            grown(output_, c.arguments.output.second, 0), grown(scratch_, c.scratchpad, 0)};
  }

 private:
  /// oneDNN's own memory is aligned as it likes.
  static void* grown(memory& own, const memory::desc& wanted, float value) {
    const std::size_t bytes = std::max<std::size_t>(wanted.get_size(), 64);
    if (!own || own.get_desc().get_size() < bytes) {
      const auto count = static_cast<memory::dim>((bytes + sizeof(float) - 1) / sizeof(float));
      own = memory({{count}, kF32, tag::x}, cpu_engine());
      std::fill_n(static_cast<float*>(own.get_data_handle()), count, value);
    }
    return own.get_data_handle();
  }

  memory first_, second_, output_, scratch_;
};

struct ConvolutionLimit::Timed {
  Pass pass;
  Candidate candidate;
  std::string layout;
  int count = 0;  // convolutions of these shapes

  /// Seconds of the second of two runs.
  double run(Memory& pool) const {
    const Memory::Pointers at = pool.at_least(candidate);
    const Arguments& a = candidate.arguments;
    std::unordered_map<int, memory> arguments;
    const auto bind = [&](const std::pair<int, memory::desc>& argument, void* pointer) {
      arguments.emplace(argument.first, memory(argument.second, cpu_engine(), pointer));
    };
    bind(a.first, at.first);
    bind(a.second, at.second);
    bind(a.output, at.output);
    bind({DNNL_ARG_SCRATCHPAD, candidate.scratchpad}, at.scratch);
    dnnl::stream stream(cpu_engine());
    double begin = 0;
    for (int i = 0; i < 2; ++i) {
      begin = seconds_now();
      candidate.primitive.execute(stream, arguments);
      stream.wait();
    }
    return seconds_now() - begin;
  }
};

ConvolutionLimit::ConvolutionLimit(const Graph& graph, int images, int threads, Storage activations)
    : threads_(threads), activations_(activations), memory_(std::make_unique<Memory>()) {
  const Threads scope(threads_);
  for (const Op& op : graph.ops())
    if (std::holds_alternative<Conv2d>(op.attributes)) add(graph, op, images);
  for (const auto& [key, passes] : primitives_)
    for (const Timed& timed : passes) layouts_[timed.layout] += timed.count;
}

ConvolutionLimit::~ConvolutionLimit() = default;

void ConvolutionLimit::add(const Graph& graph, const Op& op, int images) {
  const Shapes shapes(graph, op, images, activations_);
  const bool data_gradient = op.inputs[0] != graph.input();
  std::vector<Timed>& passes = primitives_[shapes.key(data_gradient)];
  if (!passes.empty()) {
    for (Timed& timed : passes) ++timed.count;
    return;
  }
  const int block = preferred_block();
  const tag blocked = activation_tag(block);
  const tag blocked_src = data_gradient ? blocked : tag::nchw;  // images have too few channels
  for (Pass pass : {Pass::kForward, Pass::kDataGradient, Pass::kWeightGradient}) {
    if (pass == Pass::kDataGradient && !data_gradient) continue;
    std::optional<Timed> best;
    double fastest = std::numeric_limits<double>::infinity();
    const auto consider = [&](const char* layout, tag src, tag dst) {
      auto candidate = try_candidate(shapes, pass, src, dst);
      if (!candidate) return;
      Timed timed{pass, std::move(*candidate), layout, 1};
      double seconds = timed.run(*memory_);
      for (int i = 0; i < 2; ++i) seconds = std::min(seconds, timed.run(*memory_));
      if (seconds >= fastest) return;
      fastest = seconds;
      best = std::move(timed);
    };
    consider("any", tag::any, tag::any);
    if (block > 0) consider("blocked", blocked_src, blocked);
    consider("nhwc", tag::nhwc, tag::nhwc);
    if (!best)
      throw InternalError(op.name +
                          ": oneDNN has no kernel of this CPU for its shapes; the limit "
                          "cannot be measured, leave --primitives out");
    passes.push_back(std::move(*best));
  }
}

ConvolutionSeconds ConvolutionLimit::measure() {
  const Threads scope(threads_);
  ConvolutionSeconds sum;
  for (const auto& [key, passes] : primitives_) {
    for (const Timed& timed : passes) {
      const double seconds = timed.run(*memory_) * timed.count;
      (timed.pass == Pass::kForward        ? sum.forward
       : timed.pass == Pass::kDataGradient ? sum.data_gradient
                                           : sum.weight_gradient) += seconds;
    }
  }
  return sum;
}

}  // namespace lockstep::cpu
