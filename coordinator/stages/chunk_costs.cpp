#include "coordinator/stages/chunk_costs.h"

#include <algorithm>

#include "coordinator/plan/index.h"

namespace lockstep {

namespace {

/// The first block from `from` on that reads the value; the chain's size if none does.
int first_reader(const ChainWeights::Value& value, int from, int size) {
  const auto reader = std::ranges::lower_bound(value.readers, from);
  return reader == value.readers.end() ? size : *reader;
}

}  // namespace

ChunkCosts::ChunkCosts(const ChainWeights& weights)
    : size_(weights.size()),
      joined_(weights.joined),
      seconds_{0},
      kept_{0},
      state_{0},
      received_(at(size_) * at(size_), 0.0) {
  for (int b = 0; b < size_; ++b) {
    const PartTimes& t = weights.times[at(b)];
    seconds_.push_back(seconds_.back() + t.forward + t.backward());
    kept_.push_back(kept_.back() + weights.kept_bytes[at(b)]);
    state_.push_back(state_.back() + weights.state_bytes[at(b)]);
  }
  // A chunk that begins at `first` receives a value when it reaches its first reader from there on.
  for (const ChainWeights::Value& value : weights.values)
    for (int first = value.made + 1; first < size_; ++first)
      if (const int reader = first_reader(value, first, size_); reader < size_)
        received_[at(first) * at(size_) + at(reader)] += value.bytes;
  for (int first = 0; first < size_; ++first)
    for (int last = first + 1; last < size_; ++last)
      received_[at(first) * at(size_) + at(last)] +=
          received_[at(first) * at(size_) + at(last) - 1];
}

SkipBytes::SkipBytes(const ChainWeights& weights)
    : width_(at(weights.size()) + 1), prefix_(width_ * width_ * width_, 0.0) {
  const int size = weights.size();
  for (const ChainWeights::Value& value : weights.values)
    for (int c = value.made + 1; c < size; ++c)
      if (const int reader = first_reader(value, c, size); reader < size)
        prefix(c, value.made + 1, reader + 1) += value.bytes;
  for (int c = 0; c < size; ++c)
    for (int p = 1; p <= size; ++p)
      for (int q = 1; q <= size; ++q)
        prefix(c, p, q) += prefix(c, p - 1, q) + prefix(c, p, q - 1) - prefix(c, p - 1, q - 1);
}

double& SkipBytes::prefix(int c, int made, int reader) {
  return prefix_[(at(c) * width_ + at(made)) * width_ + at(reader)];
}

double SkipBytes::between(int a, int b, int c, int d) const {
  if (c >= d) return 0;
  return prefix(c, b, d) - prefix(c, a, d);
}

ChainWeights merge_blocks(const ChainWeights& weights, int most, std::vector<int>& begin) {
  const int size = weights.size(), every = (size + most - 1) / std::max(1, most);
  std::vector<int> stretch_of;
  ChainWeights merged;
  begin.clear();
  for (int b = 0; b < size; ++b) {
    if (begin.empty() || (b - begin.back() >= every && !weights.joined[at(b)])) {
      begin.push_back(b);
      merged.names.push_back(weights.names[at(b)]);
      merged.times.push_back({0, 0, 0});
      merged.kept_bytes.push_back(0);
      merged.state_bytes.push_back(0);
      merged.joined.push_back(weights.joined[at(b)]);
    }
    stretch_of.push_back(merged.size() - 1);
    merged.times.back() += weights.times[at(b)];
    merged.kept_bytes.back() += weights.kept_bytes[at(b)];
    merged.state_bytes.back() += weights.state_bytes[at(b)];
  }
  for (const ChainWeights::Value& value : weights.values) {
    ChainWeights::Value v{.made = stretch_of[at(value.made)], .readers = {}, .bytes = value.bytes};
    for (int reader : value.readers)
      if (const int r = stretch_of[at(reader)];
          r > v.made && (v.readers.empty() || v.readers.back() < r))
        v.readers.push_back(r);
    if (!v.readers.empty()) merged.values.push_back(std::move(v));
  }
  return merged;
}

}  // namespace lockstep
