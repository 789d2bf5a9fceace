#include "coordinator/plan/memory_budget.h"

#include "coordinator/plan/report_text.h"
#include "data/error.h"

namespace lockstep {

namespace {

class Fitting {
 public:
  Fitting(const Graph& graph, Backend& backend, const PlanOptions& training,
          const PlanOptions& evaluation, const MemoryLimits& limits)
      : graph_(graph),
        backend_(backend),
        training_(training),
        evaluation_(evaluation),
        limits_(limits),
        evaluation_plan_(make_plan(graph, backend, evaluation)) {
    const Plan plan = make_plan(graph, backend, training);
    whole_ = bytes_of(plan, evaluation_plan_);
    besides_ = whole_ - std::max(plan.arena_bytes, evaluation_plan_.arena_bytes);
  }

  Recomputation run() {
    RecomputeOptions recompute = limits_.recompute;
    recompute.arena_bytes = limits_.budget_bytes > besides_ ? limits_.budget_bytes - besides_ : 1;
    Recomputation chosen = choose_recomputation(graph_, backend_, training_, recompute);
    const std::size_t needed = with(training_, chosen, evaluation_plan_);
    if (needed > limits_.budget_bytes && limits_.must_fit) refuse(needed);
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
    return with(
        training,
        choose_recomputation(graph_, backend_, training,
                             {.kind = RecomputeKind::kAuto, .arena_bytes = 1, .seconds = {}}),
        make_plan(graph_, backend_, evaluation));
  }

  int images_of_pieces(int halvings) const {
    int images = training_.max_images;
    for (; halvings > 0; --halvings) images = (images + 1) / 2;
    return images;
  }

  /// In how many pieces, a power of two, the images fit with recompute = auto; 0: not one by one either. They do
  /// not fit all at once.
  int pieces_that_fit() const {
    if (least(1) > limits_.budget_bytes) return 0;
    int too_few = 0, enough = 0;  // halvings
    while (images_of_pieces(enough) > 1) ++enough;
    while (enough - too_few > 1) {
      const int middle = (too_few + enough) / 2;
      (least(images_of_pieces(middle)) <= limits_.budget_bytes ? enough : too_few) = middle;
    }
    return 1 << enough;
  }

  [[noreturn]] void refuse(std::size_t needed) const {
    std::string text =
        (limits_.of_machine ? "a rank's share of that is " : "memory.budget_mib: a rank has ") +
        in_units(limits_.budget_bytes) + ", but this job needs " + in_units(needed);
    if (needed != whole_) text += " (" + in_units(whole_) + " without recomputation)";
    text += " for " + std::to_string(training_.max_images) + " images at a time";
    if (!limits_.advises) throw ConfigError(text);
    const std::size_t automatic = least(training_.max_images);
    if (automatic <= limits_.budget_bytes)
      throw ConfigError(text + "; memory.recompute = auto makes it fit");
    text += automatic < needed ? "; recomputation alone comes down to " + in_units(automatic)
                               : std::string("; recomputation does not make it less");
    const char* const more = limits_.of_machine ? "machines" : "ranks";
    if (const int pieces = pieces_that_fit(); pieces > 0)
      throw ConfigError(
          text + "; memory.recompute = auto fits with train.micro_batches " +
          std::to_string(pieces) +
          " times as large, with a train.batch so much smaller, or with as many times the " + more);
    throw ConfigError(
        text + ", and one image at a time takes " + in_units(least(1)) +
        (limits_.of_machine
             ? ": it needs more memory, more parallel.stages on more machines, or a smaller model"
             : ": it needs a larger budget, more parallel.stages, or a smaller model"));
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
