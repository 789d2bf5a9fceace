#include "coordinator/plan/memory_budget.h"

#include "coordinator/plan/report_text.h"
#include "data/error.h"

namespace lockstep {

namespace {

class Fitting {
 public:
  Fitting(const Graph& graph, Backend& backend, const PlanOptions& training,
          const PlanOptions& evaluation, const MemoryLimits& limits)
      : graph_(graph), backend_(backend), training_(training), evaluation_(evaluation),
        limits_(limits), evaluation_plan_(make_plan(graph, backend, evaluation)) {
    const Plan plan = make_plan(graph, backend, training);
    whole_ = bytes_of(plan, evaluation_plan_);
    besides_ = whole_ - std::max(plan.arena_bytes, evaluation_plan_.arena_bytes);
  }

  Recomputation run() {
    RecomputeOptions recompute = limits_.recompute;
    recompute.arena_bytes = limits_.budget_bytes > besides_ ? limits_.budget_bytes - besides_ : 1;
    Recomputation chosen = choose_recomputation(graph_, backend_, training_, recompute);
    const std::size_t needed = with(training_, chosen, evaluation_plan_);
    if (needed > limits_.budget_bytes) refuse(needed);
    return chosen;
  }

 private:
  std::size_t bytes_of(const Plan& plan, const Plan& evaluation) const {
    return total_bytes(rank_memory(graph_, plan, evaluation, backend_, limits_.question));
  }
  std::size_t with(PlanOptions options, Recomputation how, const Plan& evaluation) const {
    options.recompute = std::move(how);
    return bytes_of(make_plan(graph_, backend_, options), evaluation);
  }

  /// The least that recompute = auto can do with so many images at a time.
  std::size_t least(int images) const {
    PlanOptions training = training_, evaluation = evaluation_;
    training.max_images = evaluation.max_images = images;
    return with(training,
                choose_recomputation(graph_, backend_, training,
                                     {.kind = RecomputeKind::kAuto, .arena_bytes = 1, .seconds = {}}),
                make_plan(graph_, backend_, evaluation));
  }

  [[noreturn]] void refuse(std::size_t needed) const {
    const std::size_t automatic = least(training_.max_images);
    std::string text = "memory.budget_mib: a rank has " + in_units(limits_.budget_bytes) +
                       ", but this job needs " + in_units(needed);
    if (needed != whole_) text += " (" + in_units(whole_) + " without recomputation)";
    text += " for " + std::to_string(training_.max_images) + " images at a time";
    if (automatic <= limits_.budget_bytes)
      throw ConfigError(text + "; memory.recompute = auto makes it fit");
    text += automatic < needed ? "; recomputation alone comes down to " + in_units(automatic)
                               : std::string("; recomputation does not make it less");
    int pieces = 1, images = training_.max_images;
    while (images > 1 && least(images) > limits_.budget_bytes) {
      images = (images + 1) / 2;
      pieces *= 2;
    }
    if (least(images) <= limits_.budget_bytes)
      throw ConfigError(text + "; memory.recompute = auto fits with train.micro_batches " +
                        std::to_string(pieces) + " times as large, or with as many times the ranks");
    throw ConfigError(text + ", and one image at a time takes " + in_units(least(1)) +
                      ": it needs a larger budget or a smaller model");
  }

  const Graph& graph_;
  Backend& backend_;
  PlanOptions training_, evaluation_;
  MemoryLimits limits_;
  Plan evaluation_plan_;
  std::size_t whole_ = 0, besides_ = 0;
};

}  // namespace

Recomputation fit_memory(const Graph& graph, Backend& backend, const PlanOptions& training,
                         const PlanOptions& evaluation, const MemoryLimits& limits) {
  if (limits.budget_bytes == 0)
    return choose_recomputation(graph, backend, training, limits.recompute);
  return Fitting(graph, backend, training, evaluation, limits).run();
}

}  // namespace lockstep
