#include "coordinator/recompute_choice.h"

#include <charconv>
#include <limits>

#include "data/error.h"

namespace lockstep {

namespace {

/// The answer of the solver with the most memory whose plan fits. Its slots are what it believes; the
/// plan knows alignment, gradients and gaps besides, so the belief is corrected by halving.
Recomputation fit(const Graph& graph, const Backend& backend, PlanOptions options,
                  const RecomputeOptions& recompute) {
  const std::size_t arena_bytes = recompute.arena_bytes;
  const Fusion fusion = fuse(graph);
  const RecomputeModel model(graph, fusion, options.activations, options.max_images,
                             recompute.seconds.empty()
                                 ? estimate_replays(graph, fusion, options.max_images, {})
                                 : recompute.seconds);
  const RecomputeSolver solver(model.costs(), model.tape_bytes());
  const int last = static_cast<int>(model.costs().blocks.size()) - 1;
  const auto solvable = [&](int slots) {
    return solver.seconds(0, last, slots) < std::numeric_limits<double>::infinity();
  };
  Recomputation best;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  const auto fits = [&](int slots) {
    options.recompute = model.recomputation(solver, slots);
    const std::size_t bytes = make_plan(graph, backend, options).arena_bytes;
    if (bytes > arena_bytes && bytes >= least) return false;
    least = bytes;
    best = options.recompute;
    return bytes <= arena_bytes;
  };
  int lowest = 0, too_many = solver.slots() + 1;
  while (!solvable(lowest) && lowest < solver.slots()) ++lowest;
  for (int good = lowest - 1; too_many - good > 1;) {
    const int middle = (good + too_many) / 2;
    (fits(middle) ? good : too_many) = middle;
  }
  return best;
}

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
  throw ConfigError("memory.recompute = '" + text + "': use none, every:K with K at least 1, sqrt or auto");
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
  if (recompute.arena_bytes == 0 || make_plan(graph, backend, options).arena_bytes <= recompute.arena_bytes)
    return {};
  return fit(graph, backend, options, recompute);
}

}  // namespace lockstep
