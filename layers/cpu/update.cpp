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

/// base^exponent by products alone: a library's pow may round differently on another machine.
double power(double base, std::int64_t exponent) {
  double result = 1;
  for (; exponent > 0; exponent /= 2, base *= base)
    if (exponent % 2 != 0) result *= base;
  return result;
}

/// Where an update reads and writes: one block of each segment.
struct BlockOfState {
  std::size_t count;
  const float* gradient;
  float* weights;
  float* slots;  // the first; the others are `slot_floats` apart
  std::size_t slot_floats;
};

// An optimizer: what depends on the step alone, and a block's update by it.

SgdOptions step_of(const Sgd& sgd, const StepContext& context, double gradient_scale) {
  return {.learning_rate = context.learning_rate,
          .momentum = sgd.momentum,
          .gradient_scale = static_cast<float>(gradient_scale),
          .nesterov = sgd.nesterov};
}

void update(const Sgd& sgd, SgdOptions step, bool decays, const StepContext&,
            const BlockOfState& b) {
  step.weight_decay = decays ? sgd.weight_decay : 0.0f;
  kernels().sgd(b.count, step, b.gradient, b.slots, b.weights);
}

AdamWOptions step_of(const AdamW& adamw, const StepContext& context, double gradient_scale) {
  const std::int64_t t = context.slot_updates + 1;
  const double correction1 = 1 - power(adamw.beta1, t), correction2 = 1 - power(adamw.beta2, t);
  return {.rest1 = static_cast<float>(1 - adamw.beta1),
          .beta2 = static_cast<float>(adamw.beta2),
          .rest2 = static_cast<float>(1 - adamw.beta2),
          .step_size = static_cast<float>(context.learning_rate / correction1),
          .inverse_root = static_cast<float>(1 / std::sqrt(correction2)),
          .eps = static_cast<float>(adamw.eps),
          .gradient_scale = static_cast<float>(gradient_scale)};
}

void update(const AdamW& adamw, AdamWOptions step, bool decays, const StepContext& context,
            const BlockOfState& b) {
  const double decay = static_cast<double>(context.learning_rate) * adamw.weight_decay;
  step.kept = decays ? static_cast<float>(1 - decay) : 1.0f;
  kernels().adamw(b.count, step, b.gradient, b.slots, b.slots + b.slot_floats, b.weights);
}

/// Parameters by their gradients and slots, unless the update is held.
template <class T>
class Update : public Kernel {
 public:
  Update(const T& optimizer, const Graph& graph, const OwnedTensors& owned, const Binding& b)
      : optimizer_(optimizer),
        blocks_(update_blocks(graph, owned)),
        slot_floats_(parameter_offsets(graph, owned).back()),
        gradients_(b[Role::kGradient].of_lane()),
        slots_(b[Role::kSlots].of_lane()),
        weights_(b[Role::kWeights].of_lane()),
        norm_(b[Role::kSums].of_lane<double>()) {}
  int units() const override { return static_cast<int>(blocks_.size()); }
  void run(const StepContext& context, const Lane&, const Range& range) override {
    if (norm_[2] != 0) return;
    const auto step = step_of(optimizer_, context, norm_[1]);
    for (int i = range.first; i < range.last; ++i) {
      const UpdateBlock& block = blocks_[static_cast<std::size_t>(i)];
      update(optimizer_, step, block.decay, context,
             {block.count, gradients_ + block.begin, weights_ + block.begin, slots_ + block.begin,
              slot_floats_});
    }
  }

 private:
  T optimizer_;
  std::vector<UpdateBlock> blocks_;
  std::size_t slot_floats_;
  const float* gradients_;
  float *slots_, *weights_;
  const double* norm_;
};

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
  return std::visit(
      [&]<class T>(const T& optimizer) -> std::unique_ptr<Kernel> {
        return std::make_unique<Update<T>>(optimizer, graph, options.owned, binding);
      },
      options.optimizer);
}

}  // namespace lockstep::cpu
