#include "coordinator/stages/partition.h"

#include <algorithm>
#include <limits>

#include "coordinator/plan/index.h"
#include "coordinator/stages/chunk_costs.h"
#include "data/error.h"
#include "data/spelling.h"

namespace lockstep {

namespace {

constexpr double kImpossible = std::numeric_limits<double>::infinity();
constexpr double kRounding = 1 + 1e-9;  // sums in another order
constexpr int kMostFoldedBlocks = 96;   // the fold's program grows with the fourth power

double worse(double a, double b) { return std::max(a, b); }
double total(double a, double b) { return a + b; }

struct Answer {
  double cost = kImpossible;
  std::vector<int> first;  // by chunk
};

/// Least over all ways to cut `size` blocks into chunks of what `join` makes of the chunks'
/// cost(chunk, first block, last block).
template <typename Cost, typename Join>
Answer cut_chain(int size, int chunks, const Cost& cost, const Join& join) {
  std::vector<std::vector<double>> least(at(chunks) + 1,
                                         std::vector<double>(at(size) + 1, kImpossible));
  std::vector<std::vector<int>> begin(least.size(), std::vector<int>(at(size) + 1, 0));
  least[0][0] = 0;
  for (int c = 1; c <= chunks; ++c)
    for (int end = c; end <= size; ++end)
      for (int first = c - 1; first < end; ++first) {
        if (least[at(c) - 1][at(first)] == kImpossible) continue;
        const double here = join(least[at(c) - 1][at(first)], cost(c - 1, first, end - 1));
        if (here >= least[at(c)][at(end)]) continue;
        least[at(c)][at(end)] = here;
        begin[at(c)][at(end)] = first;
      }
  Answer answer{.cost = least[at(chunks)][at(size)], .first = std::vector<int>(at(chunks), 0)};
  for (int c = chunks, end = size; c > 0; --c)
    answer.first[at(c) - 1] = end = begin[at(c)][at(end)];
  return answer;
}

/// The same for folded stages: cost(stage, a, b, c, d) of left blocks [a, b) and right blocks [c,
/// d).
template <typename Cost, typename Join>
class FoldedChain {
 public:
  FoldedChain(int size, int stages, const Cost& cost, const Join& join)
      : size_(size),
        stages_(stages),
        cost_(cost),
        join_(join),
        states_(at(stages), std::vector<State>(at(size + 1) * at(size + 1))) {
    for (int s = 0; s + 1 < stages; ++s)
      from_each(s, [&](int a, int d, double before) {
        for (int b = a + 1; b < d; ++b)
          for (int c = b + 1; c < d; ++c) offer(state(s + 1, b, c), s, before, a, b, c, d);
      });
    from_each(stages - 1, [&](int a, int d, double before) {
      for (int b = a + 1; b < d; ++b) offer(end_, stages - 1, before, a, b, b, d);
    });
  }

  Answer answer() {
    Answer answer{.cost = end_.cost, .first = std::vector<int>(at(2 * stages_), 0)};
    State here = end_;
    for (int s = stages_; s-- > 0 && answer.cost < kImpossible;) {
      answer.first[at(s)] = here.a;
      answer.first[at(2 * stages_ - 1 - s)] = here.c;
      here = state(s, here.a, here.d);
    }
    return answer;
  }

 private:
  /// Least cost of the stages outside, and where the outermost of what they left was cut.
  struct State {
    double cost = kImpossible;
    int a = 0, c = 0, d = 0;
  };
  State& state(int stage, int a, int d) {
    return states_[at(stage)][at(a) * at(size_ + 1) + at(d)];
  }

  template <typename Visit>
  void from_each(int stage, const Visit& visit) {
    if (stage == 0) return visit(0, size_, 0.0);
    for (int a = 0; a <= size_; ++a)
      for (int d = a; d <= size_; ++d)
        if (state(stage, a, d).cost < kImpossible) visit(a, d, state(stage, a, d).cost);
  }

  void offer(State& to, int stage, double before, int a, int b, int c, int d) {
    const double here = join_(before, cost_(stage, a, b, c, d));
    if (here < to.cost) to = {here, a, c, d};
  }

  int size_, stages_;
  const Cost& cost_;
  const Join& join_;
  std::vector<std::vector<State>>
      states_;  // by stage: [left end][right begin] of the stages before
  State end_;
};

template <typename Cost, typename Join>
Answer cut_folded(int size, int stages, const Cost& cost, const Join& join) {
  return FoldedChain<Cost, Join>(size, stages, cost, join).answer();
}

std::string mib(double bytes) {
  return std::to_string(static_cast<long long>(bytes / (1 << 20)) + 1) + " MiB";
}

[[noreturn]] void refuse(const PartitionOptions& options, double least_bytes, int size) {
  if (least_bytes == kImpossible)
    throw ConfigError("parallel.stages: the model has " + std::to_string(size) +
                      " blocks, too few for " + std::to_string(options.chunks) +
                      " chunks; use fewer stages, or chunks a stage");
  throw ConfigError("memory.budget_mib: no cut of the model into " +
                    std::to_string(options.chunks) + " chunks fits: a stage may hold " +
                    mib(options.stage_bytes) + ", the best needs " + mib(least_bytes) +
                    "; use more stages, more micro-batches, or memory.recompute");
}

double held(const PartitionOptions& options, int chunk) {
  return options.in_flight.empty() ? 1.0 : options.in_flight[at(chunk)];
}

}  // namespace

Partition partition(const ChainWeights& weights, const PartitionOptions& options,
                    int chunks_per_stage) {
  const ChunkCosts costs(weights);
  const double limit = options.stage_bytes / chunks_per_stage;
  const auto may = [&](int first) { return first == 0 || costs.may_begin(first); };
  const auto bytes = [&](int c, int first, int last) {
    if (!may(first)) return kImpossible;
    return costs.state_bytes(first, last) + held(options, c) * costs.kept_bytes(first, last);
  };
  const auto seconds = [&](int c, int first, int last) {
    if (!may(first) || (limit > 0 && bytes(c, first, last) > limit)) return kImpossible;
    return costs.seconds(first, last) + 2 * options.seconds_per_byte * costs.received(first, last);
  };
  const Answer fastest = cut_chain(costs.size(), options.chunks, seconds, worse);
  if (fastest.cost == kImpossible)
    refuse(options, cut_chain(costs.size(), options.chunks, bytes, worse).cost * chunks_per_stage,
           costs.size());
  const double enough = fastest.cost * (1 + options.slack) * kRounding;
  const auto received = [&](int c, int first, int last) {
    return seconds(c, first, last) > enough ? kImpossible : costs.received(first, last);
  };
  return {cut_chain(costs.size(), options.chunks, received, total).first, fastest.cost};
}

Partition partition_folded(const ChainWeights& whole, const PartitionOptions& options) {
  std::vector<int> begin;
  const ChainWeights weights = merge_blocks(whole, kMostFoldedBlocks, begin);
  const ChunkCosts costs(weights);
  const SkipBytes skips(weights);
  const int stages = options.chunks / 2;
  const auto may = [&](int a, int c) {
    return (a == 0 || costs.may_begin(a)) && costs.may_begin(c);
  };
  const auto from_others = [&](int, int a, int b, int c, int d) {
    return costs.received(a, b - 1) + costs.received(c, d - 1) - skips.between(a, b, c, d);
  };
  const auto bytes = [&](int s, int a, int b, int c, int d) {
    if (!may(a, c)) return kImpossible;
    return costs.state_bytes(a, b - 1) + costs.state_bytes(c, d - 1) +
           held(options, s) * costs.kept_bytes(a, b - 1) +
           held(options, 2 * stages - 1 - s) * costs.kept_bytes(c, d - 1);
  };
  const auto seconds = [&](int s, int a, int b, int c, int d) {
    if (!may(a, c) || (options.stage_bytes > 0 && bytes(s, a, b, c, d) > options.stage_bytes))
      return kImpossible;
    return costs.seconds(a, b - 1) + costs.seconds(c, d - 1) +
           2 * options.seconds_per_byte * from_others(s, a, b, c, d);
  };
  const Answer fastest = cut_folded(costs.size(), stages, seconds, worse);
  if (fastest.cost == kImpossible)
    refuse(options, cut_folded(costs.size(), stages, bytes, worse).cost, costs.size());
  const double enough = fastest.cost * (1 + options.slack) * kRounding;
  const auto received = [&](int s, int a, int b, int c, int d) {
    return seconds(s, a, b, c, d) > enough ? kImpossible : from_others(s, a, b, c, d);
  };
  Partition best{cut_folded(costs.size(), stages, received, total).first, fastest.cost};
  for (int& first : best.first) first = begin[at(first)];
  return best;
}

Partition partition_by_hand(const ChainWeights& weights, const std::vector<std::string>& cuts,
                            int chunks) {
  if (static_cast<int>(cuts.size()) != chunks - 1)
    throw ConfigError("parallel.cuts: " + std::to_string(chunks) + " chunks begin at " +
                      std::to_string(chunks - 1) + " blocks besides the first; " +
                      std::to_string(cuts.size()) + " are given");
  Partition result{.first = {0}};
  for (const std::string& cut : cuts) {
    const auto found = std::ranges::find(weights.names, cut);
    if (found == weights.names.end())
      throw ConfigError("parallel.cuts: the model has no block '" + cut + "'; did you mean '" +
                        nearest_word(cut, weights.names) + "'?");
    const int block = static_cast<int>(found - weights.names.begin());
    if (block <= result.first.back())
      throw ConfigError("parallel.cuts: '" + cut + "' does not come after '" +
                        weights.names[at(result.first.back())] +
                        "', where the chunk before it begins");
    if (weights.joined[at(block)])
      throw ConfigError("parallel.cuts: '" + cut +
                        "' runs in one piece with the block before it; cut at '" +
                        weights.names[at(block) - 1] + "' or later");
    result.first.push_back(block);
  }
  return result;
}

double received_bytes(const ChainWeights& weights, int first, int last) {
  double bytes = 0;
  for (const ChainWeights::Value& value : weights.values)
    if (value.made < first &&
        std::ranges::any_of(value.readers, [&](int r) { return r >= first && r <= last; }))
      bytes += value.bytes;
  return bytes;
}

}  // namespace lockstep
