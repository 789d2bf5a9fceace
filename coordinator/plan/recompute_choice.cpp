#include "coordinator/plan/recompute_choice.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "data/error.h"

namespace lockstep {

namespace {

/// Looks for the solver's answer with the most memory whose plan fits. The solver's memory is what it
/// believes; a plan knows alignment, gradients and gaps besides, so the belief is corrected by halving.
class Fit {
 public:
  Fit(const Graph& graph, const Backend& backend, PlanOptions options,
      const RecomputeOptions& recompute)
      : graph_(graph),
        backend_(backend),
        options_(std::move(options)),
        fusion_(fuse(graph)),
        arena_bytes_(recompute.arena_bytes),
        model_(graph, fusion_, options_.activations, options_.max_images,
               recompute.seconds.empty() ? estimate_replays(graph, fusion_, options_.max_images, {})
                                         : recompute.seconds) {}

  /// If nothing fits, what takes the least.
  Recomputation run() {
    // The solver rounds every segment up to whole slots, so they are to be small: as many as it
    // has for little more than the budget, not for all that could be kept.
    const std::size_t whole = model_.tape_bytes();
    std::size_t capacity = std::clamp(arena_bytes_ / 4 * 5, whole / 64, whole);
    for (search(capacity); least_ == kUnknown && capacity < whole; search(capacity))
      capacity = std::min(2 * capacity, whole);
    return std::move(best_);
  }

 private:
  static constexpr std::size_t kUnknown = std::numeric_limits<std::size_t>::max();

  /// More slots are not always more bytes in the plan, so halving alone would miss what fits.
  void search(std::size_t capacity) {
    constexpr int kTries = 16;
    const RecomputeSolver solver(model_.costs(), capacity);
    const int last = static_cast<int>(model_.costs().blocks.size()) - 1;
    int lowest = 0;
    while (lowest <= solver.slots() &&
           solver.seconds(0, last, lowest) == std::numeric_limits<double>::infinity())
      ++lowest;
    if (lowest > solver.slots()) return;
    int too_many = solver.slots() + 1, good = lowest - 1;
    for (int i = kTries; i >= 0 && good < lowest; --i) {
      const int slots = lowest + (solver.slots() - lowest) * i / kTries;
      (fits(solver, slots) ? good : too_many) = slots;
    }
    while (good >= lowest && too_many - good > 1) {
      const int middle = (good + too_many) / 2;
      (fits(solver, middle) ? good : too_many) = middle;
    }
  }

  bool fits(const RecomputeSolver& solver, int slots) {
    options_.recompute = model_.recomputation(solver, slots);
    const std::size_t bytes = make_plan(graph_, backend_, options_).arena_bytes;
    if (bytes > arena_bytes_ && bytes >= least_) return false;
    least_ = bytes;
    best_ = options_.recompute;
    return bytes <= arena_bytes_;
  }

  const Graph& graph_;
  const Backend& backend_;
  PlanOptions options_;
  Fusion fusion_;
  std::size_t arena_bytes_;
  RecomputeModel model_;
  Recomputation best_;
  std::size_t least_ = kUnknown;
};

}  // namespace

RecomputeOptions parse_recompute(const std::string& text) {
  if (text == "none") return {};
  if (text == "sqrt") return {.kind = RecomputeKind::kSqrt};
  if (text == "auto") return {.kind = RecomputeKind::kAuto};
  const std::string prefix = "every:";
  int every = 0;
  if (text.starts_with(prefix)) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + prefix.size(), end, every);
    if (error == std::errc{} && stop == end && every >= 1)
      return {.kind = RecomputeKind::kEvery, .every = every};
  }
  throw ConfigError("memory.recompute = '" + text +
                    "': use none, every:K with K at least 1, sqrt or auto");
}

Recomputation choose_recomputation(const Graph& graph, const Backend& backend,
                                   const PlanOptions& options, const RecomputeOptions& recompute) {
  switch (recompute.kind) {
    case RecomputeKind::kKeepAll:
      return {};
    case RecomputeKind::kEvery:
      return recompute_every(chain_of(graph, fuse(graph)), recompute.every);
    case RecomputeKind::kSqrt:
      return recompute_sqrt(chain_of(graph, fuse(graph)));
    case RecomputeKind::kAuto:
      break;
  }
  if (recompute.arena_bytes == 0 ||
      make_plan(graph, backend, options).arena_bytes <= recompute.arena_bytes)
    return {};
  return Fit(graph, backend, options, recompute).run();
}

}  // namespace lockstep
