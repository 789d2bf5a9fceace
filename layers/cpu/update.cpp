#include <algorithm>
#include <cmath>

#include "layers/cpu/kernel_factories.h"
#include "layers/layout.h"

namespace lockstep::cpu {

namespace {

/// Adds lane gradients kept in the plain layout: first the weights', then the bias's.
class FoldPlain : public Kernel {
 public:
  explicit FoldPlain(const CallSite& site) : lanes_(site.binding.lanes) {
    add(site, 0, Role::kLaneGradient, Role::kGradient);
    add(site, 1, Role::kLaneBiasGradient, Role::kBiasGradient);
  }

  void run(const StepContext& context, const Lane&, const Range&) override {
    for (const Part& part : parts_) {
      if (context.first_micro_batch) std::fill_n(part.gradient, part.floats, 0.0f);
      for (int l = 0; l < lanes_; ++l) {
        const auto [begin, end] = lane_images(context.images, lanes_, l);
        if (begin != end) kernels().accumulate(part.floats, part.lane.of_lane(l), part.gradient);
      }
    }
  }

 private:
  struct Part {
    Memory lane;
    float* gradient;
    std::size_t floats;
  };
  /// The sizes are the parameters': lanes' copies are padded.
  void add(const CallSite& site, std::size_t parameter, Role lane, Role gradient) {
    const Binding& b = site.binding;
    if (!b.has(lane)) return;
    const Parameter& p = site.graph.parameter(site.op.parameters[parameter]);
    parts_.push_back({b[lane], b[gradient].of_lane(), static_cast<std::size_t>(p.elements())});
  }

  int lanes_;
  std::vector<Part> parts_;
};

/// partial = sums of squares by block; zero for the blocks of other ranks.
class GradientNorm : public Kernel {
 public:
  GradientNorm(const Graph& graph, const OwnedTensors& owned, const Binding& b)
      : blocks_(update_blocks(graph, owned)),
        gradients_(b[Role::kGradient].of_lane()),
        partial_(b[Role::kLaneSums].of_lane<double>()) {
    std::vector<bool> mine(update_blocks(graph).size());
    for (const UpdateBlock& block : blocks_) mine[static_cast<std::size_t>(block.index)] = true;
    for (std::size_t i = 0; i < mine.size(); ++i)
      if (!mine[i]) others_.push_back(i);
  }
  int units() const override { return static_cast<int>(blocks_.size()) + 1; }
  void run(const StepContext&, const Lane&, const Range& range) override {
    for (int i = range.first; i < range.last; ++i) {
      if (i == static_cast<int>(blocks_.size())) {
        for (std::size_t o : others_) partial_[o] = 0;
        return;
      }
      const UpdateBlock& block = blocks_[static_cast<std::size_t>(i)];
      partial_[block.index] = kernels().sum_of_squares(block.count, gradients_ + block.begin);
    }
  }

 private:
  std::vector<UpdateBlock> blocks_;
  std::vector<std::size_t> others_;
  const float* gradients_;
  double* partial_;
};

/// sums = [global norm, factor that clips it, 1 if the update is held].
class FinishGradientNorm : public Kernel {
 public:
  FinishGradientNorm(const Graph& graph, double clip_norm, const Binding& b)
      : blocks_(update_blocks(graph).size()),
        clip_norm_(clip_norm),
        partial_(b[Role::kLaneSums].of_lane<double>()),
        sums_(b[Role::kSums].of_lane<double>()) {}
  void run(const StepContext& context, const Lane&, const Range&) override {
    double total = 0;
    for (std::size_t i = 0; i < blocks_; ++i) total += partial_[i];
    sums_[0] = std::sqrt(total);
    sums_[1] = clip_norm_ > 0 && sums_[0] > clip_norm_ ? clip_norm_ / sums_[0] : 1.0;
    sums_[2] = context.norm_limit > 0 && !(sums_[0] <= context.norm_limit) ? 1.0 : 0.0;
  }

 private:
  std::size_t blocks_;
  double clip_norm_;
  const double* partial_;
  double* sums_;
};

class SgdUpdate : public Kernel {
 public:
  SgdUpdate(const Sgd& sgd, const Graph& graph, const OwnedTensors& owned, const Binding& b)
      : blocks_(update_blocks(graph, owned)),
        sgd_(sgd),
        gradients_(b[Role::kGradient].of_lane()),
        momentum_(b[Role::kSlots].of_lane()),
        weights_(b[Role::kWeights].of_lane()),
        norm_(b[Role::kSums].of_lane<double>()) {}
  int units() const override { return static_cast<int>(blocks_.size()); }
  void run(const StepContext& context, const Lane&, const Range& range) override {
    if (norm_[2] != 0) return;
    SgdOptions options{.learning_rate = context.learning_rate,
                       .momentum = sgd_.momentum,
                       .gradient_scale = static_cast<float>(norm_[1]),
                       .nesterov = sgd_.nesterov};
    for (int i = range.first; i < range.last; ++i) {
      const UpdateBlock& block = blocks_[static_cast<std::size_t>(i)];
      options.weight_decay = block.decay ? sgd_.weight_decay : 0.0f;
      kernels().sgd(block.count, options, gradients_ + block.begin, momentum_ + block.begin,
                    weights_ + block.begin);
    }
  }

 private:
  std::vector<UpdateBlock> blocks_;
  Sgd sgd_;
  const float* gradients_;
  float *momentum_, *weights_;
  const double* norm_;
};

/// base^exponent by products alone: a library's pow may round differently on another machine.
double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2, base *= base)
    if (exponent % 2 != 0) result *= base;
  return result;
}

class AdamWUpdate : public Kernel {
 public:
  AdamWUpdate(const AdamW& adamw, const Graph& graph, const OwnedTensors& owned, const Binding& b)
      : blocks_(update_blocks(graph, owned)),
        adamw_(adamw),
        gradients_(b[Role::kGradient].of_lane()),
        first_(b[Role::kSlots].of_lane()),
        second_(first_ + parameter_offsets(graph, owned).back()),
        weights_(b[Role::kWeights].of_lane()),
        norm_(b[Role::kSums].of_lane<double>()) {}
  int units() const override { return static_cast<int>(blocks_.size()); }
  void run(const StepContext& context, const Lane&, const Range& range) override {
    if (norm_[2] != 0) return;
    AdamWOptions options = options_of(context);
    const double decay = static_cast<double>(context.learning_rate) * adamw_.weight_decay;
    for (int i = range.first; i < range.last; ++i) {
      const UpdateBlock& block = blocks_[static_cast<std::size_t>(i)];
      options.kept = block.decay ? static_cast<float>(1 - decay) : 1.0f;
      kernels().adamw(block.count, options, gradients_ + block.begin, first_ + block.begin,
                      second_ + block.begin, weights_ + block.begin);
    }
  }

 private:
  AdamWOptions options_of(const StepContext& context) const {
    const std::int64_t t = context.slot_updates + 1;
    const double correction1 = 1 - power(adamw_.beta1, t), correction2 = 1 - power(adamw_.beta2, t);
    return {.rest1 = static_cast<float>(1 - adamw_.beta1),
            .beta2 = static_cast<float>(adamw_.beta2),
            .rest2 = static_cast<float>(1 - adamw_.beta2),
            .step_size = static_cast<float>(context.learning_rate / correction1),
            .inverse_root = static_cast<float>(1 / std::sqrt(correction2)),
            .eps = static_cast<float>(adamw_.eps),
            .gradient_scale = static_cast<float>(norm_[1])};
  }

  std::vector<UpdateBlock> blocks_;
  AdamW adamw_;
  const float* gradients_;
  float *first_, *second_, *weights_;
  const double* norm_;
};

std::unique_ptr<Kernel> make_update(const AdamW& adamw, const Graph& graph,
                                    const OwnedTensors& owned, const Binding& binding) {
  return std::make_unique<AdamWUpdate>(adamw, graph, owned, binding);
}

std::unique_ptr<Kernel> make_update(const Sgd& sgd, const Graph& graph, const OwnedTensors& owned,
                                    const Binding& binding) {
  return std::make_unique<SgdUpdate>(sgd, graph, owned, binding);
}

}  // namespace

std::unique_ptr<Kernel> make_fold_kernel(const CallSite& site) {
  return std::make_unique<FoldPlain>(site);
}

std::unique_ptr<Kernel> make_update_kernel(const Graph& graph, const CpuBackendOptions& options,
                                           const Call& call, const Binding& binding) {
  if (call.kind == CallKind::kGradientNorm)
    return std::make_unique<GradientNorm>(graph, options.owned, binding);
  if (call.kind == CallKind::kFinishGradientNorm)
    return std::make_unique<FinishGradientNorm>(graph, options.clip_norm, binding);
  const auto update = [&](const auto& optimizer) {
    return make_update(optimizer, graph, options.owned, binding);
  };
  return std::visit(update, options.optimizer);
}

}  // namespace lockstep::cpu
