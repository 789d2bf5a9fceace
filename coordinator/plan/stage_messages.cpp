#include "coordinator/plan/stage_messages.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "coordinator/plan/index.h"
#include "data/error.h"

namespace lockstep {

namespace {

using What = StageMessage::What;
constexpr int kTags = 32767;

const char* name_of(PartKind kind) {
  switch (kind) {
    case PartKind::kForward:
      return "forward";
    case PartKind::kBackward:
      return "backward";
    case PartKind::kBackwardData:
      return "data gradients";
    case PartKind::kBackwardWeights:
      return "weight gradients";
  }
  return "";
}

std::string describe(const Part& part) {
  return std::string(name_of(part.kind)) + " of chunk " + std::to_string(part.chunk) +
         ", micro-batch " + std::to_string(part.micro_batch);
}

class MessageFinder {
 public:
  MessageFinder(const Graph& graph, const Pipeline& pipeline)
      : graph_(graph), pipeline_(pipeline), chunk_of_(graph.ops().size(), kNone) {
    for (std::size_t c = 0; c < pipeline.chunks.size(); ++c)
      for (OpId id = pipeline.chunks[c].first; id <= pipeline.chunks[c].last; ++id)
        chunk_of_[at(id)] = static_cast<int>(c);
    for (const auto& order : pipeline.order)
      for (std::size_t i = 0; i < order.size(); ++i) {
        const Part& p = order[i];
        const bool backward = p.kind == PartKind::kBackward || p.kind == PartKind::kBackwardData;
        training_ = training_ || backward;
        const PartKind kind = backward ? PartKind::kBackward : p.kind;
        position_[{kind, p.chunk, p.micro_batch}] = static_cast<int>(i);
      }
  }

  std::vector<StageMessage> run() {
    for (int m = 0; m < pipeline_.micro_batches; ++m) {
      for (ValueId v = 0; v < static_cast<ValueId>(graph_.values().size()); ++v) find_value(v, m);
      for (int c = 0; c < static_cast<int>(pipeline_.chunks.size()); ++c) find_chunk(c, m);
      const int loss = static_cast<int>(pipeline_.chunks.size()) - 1;
      if (stage_of(loss) != stage_of(0))
        depend({.what = What::kLabels, .micro_batch = m}, PartKind::kForward, 0, PartKind::kForward,
               loss);
    }
    run_stages();
    for (StageMessage& m : messages_) m.arrived_before = arrival(m);
    bound_sends();
    std::ranges::stable_sort(messages_, [](const StageMessage& a, const StageMessage& b) {
      return std::tie(a.from, a.sent_in) < std::tie(b.from, b.sent_in);
    });
    std::map<std::pair<int, int>, int> sent;
    for (StageMessage& m : messages_) m.tag = sent[{m.from, m.to}]++ % kTags;
    return std::move(messages_);
  }

 private:
  int stage_of(int chunk) const { return pipeline_.stage_of_chunk[at(chunk)]; }

  int position(PartKind kind, int chunk, int micro_batch) const {
    const auto found = position_.find({kind, chunk, micro_batch});
    if (found == position_.end())
      throw ConfigError("pipeline: stage " + std::to_string(stage_of(chunk)) +
                        " lacks the part \"" + describe(Part{kind, chunk, micro_batch}) + "\"");
    return found->second;
  }

  /// The message, or on one stage just the order, from a part of one chunk to that of another.
  void depend(StageMessage m, PartKind kind, int chunk, PartKind reader_kind, int reader_chunk) {
    m.from = stage_of(chunk);
    m.to = stage_of(reader_chunk);
    m.sent_in = position(kind, chunk, m.micro_batch);
    m.received_before = position(reader_kind, reader_chunk, m.micro_batch);
    if (m.from != m.to) return messages_.push_back(m);
    if (m.sent_in >= m.received_before)
      throw ConfigError("pipeline: stage " + std::to_string(m.to) + " runs \"" +
                        describe(pipeline_.order[at(m.to)][at(m.received_before)]) +
                        "\" before what it needs, \"" +
                        describe(pipeline_.order[at(m.from)][at(m.sent_in)]) + "\"");
  }

  void find_value(ValueId v, int micro_batch) {
    const Value& value = graph_.value(v);
    const int maker = value.producer == kNone ? 0 : chunk_of_[at(value.producer)];
    std::vector<int> readers;
    for (OpId op : value.consumers) readers.push_back(chunk_of_[at(op)]);
    std::ranges::sort(readers);
    readers.erase(std::unique(readers.begin(), readers.end()), readers.end());
    std::erase(readers, maker);
    std::map<int, int> first_reader;  // by stage
    for (int c : readers) {
      const auto [it, added] = first_reader.emplace(stage_of(c), c);
      if (!added && position(PartKind::kForward, c, micro_batch) <
                        position(PartKind::kForward, it->second, micro_batch))
        it->second = c;
    }
    for (const auto& [stage, c] : first_reader)
      depend({.value = v, .micro_batch = micro_batch}, PartKind::kForward, maker,
             PartKind::kForward, c);
    if (!training_ || v == graph_.input()) return;
    for (int c : readers)
      depend({.what = What::kGradient, .value = v, .reader = c, .micro_batch = micro_batch},
             PartKind::kBackward, c, PartKind::kBackward, maker);
  }

  /// The order of a chunk's own parts.
  void find_chunk(int chunk, int micro_batch) {
    const StageMessage m{.micro_batch = micro_batch};
    const int forward = position(PartKind::kForward, chunk, micro_batch);
    if (!training_) return;
    depend(m, PartKind::kForward, chunk, PartKind::kBackward, chunk);
    const int backward = position(PartKind::kBackward, chunk, micro_batch);
    const auto& order = pipeline_.order[at(stage_of(chunk))];
    if (order[at(backward)].kind == PartKind::kBackwardData)
      depend(m, PartKind::kBackward, chunk, PartKind::kBackwardWeights, chunk);
    if (micro_batch == 0) return;
    if (position(PartKind::kForward, chunk, micro_batch - 1) > forward ||
        position(PartKind::kBackward, chunk, micro_batch - 1) > backward)
      throw ConfigError("pipeline: \"" + describe(order[at(forward)]) +
                        "\": the micro-batches of a chunk must come in their order");
  }

  using Needs = std::vector<std::vector<std::vector<const StageMessage*>>>;  // [stage][part]

  /// Runs all orders as ranks would, each as far as its messages let it, and notes by part how many
  /// parts of every stage must have ended before it. `waits`: also for sends to have arrived.
  /// Returns by stage what it waits for if it cannot go on; nullptr: it came to its end.
  std::vector<const StageMessage*> simulate(const std::vector<StageMessage>& messages, bool waits) {
    const std::size_t stages = pipeline_.order.size();
    Needs receives(stages), sends(stages);
    for (std::size_t s = 0; s < stages; ++s) {
      receives[s].resize(pipeline_.order[s].size());
      sends[s].resize(pipeline_.order[s].size() + 1);
    }
    for (const StageMessage& m : messages) {
      receives[at(m.to)][at(m.received_before)].push_back(&m);
      if (waits) sends[at(m.from)][at(m.arrived_before)].push_back(&m);
    }
    ended_.assign(stages, {});
    const auto missing = [&](std::size_t s) -> const StageMessage* {
      const std::size_t part = ended_[s].size();
      for (const StageMessage* m : sends[s][part])
        if (static_cast<int>(ended_[at(m->to)].size()) < m->received_before) return m;
      if (part == receives[s].size()) return nullptr;
      for (const StageMessage* m : receives[s][part])
        if (static_cast<int>(ended_[at(m->from)].size()) <= m->sent_in) return m;
      return nullptr;
    };
    for (bool moved = true; moved;) {
      moved = false;
      for (std::size_t s = 0; s < stages; ++s)
        for (; ended_[s].size() < receives[s].size() && !missing(s); moved = true)
          ended_[s].push_back(ended_before(static_cast<int>(s), receives[s][ended_[s].size()]));
    }
    std::vector<const StageMessage*> stuck(stages, nullptr);
    for (std::size_t s = 0; s < stages; ++s)
      if (ended_[s].size() < receives[s].size()) stuck[s] = missing(s);
    return stuck;
  }

  void run_stages() {
    const auto stuck = simulate(messages_, false);
    std::string waits;
    for (std::size_t s = 0; s < stuck.size(); ++s) {
      if (!stuck[s]) continue;
      waits += (waits.empty() ? "" : "; ") + std::string("\"") +
               describe(pipeline_.order[s][ended_[s].size()]) + "\" waits for the " +
               lockstep::describe(*stuck[s], graph_);
    }
    if (!waits.empty())
      throw ConfigError("pipeline: stages would wait for each other for ever: " + waits);
  }

  /// Nothing that a stage receives vouches for some sends, such as all of evaluation's. They are
  /// waited for a few parts later, so that their memory is free again, if no stage waits for ever.
  void bound_sends() {
    for (const int parts : {2, 4, 8, 16}) {
      std::vector<StageMessage> bounded = messages_;
      for (StageMessage& m : bounded) {
        const int end = static_cast<int>(pipeline_.order[at(m.from)].size());
        if (m.arrived_before == end) m.arrived_before = std::min(end, m.sent_in + parts);
      }
      const auto stuck = simulate(bounded, true);
      if (std::ranges::any_of(stuck, [](const StageMessage* m) { return m != nullptr; })) continue;
      messages_ = std::move(bounded);
      return;
    }
  }

  std::vector<int> ended_before(int stage, const std::vector<const StageMessage*>& needs) const {
    std::vector<int> ended(pipeline_.order.size(), 0);
    const auto after = [&](int s, int part) {
      for (std::size_t i = 0; i < ended.size(); ++i)
        ended[i] = std::max(ended[i], ended_[at(s)][at(part)][i]);
      ended[at(s)] = std::max(ended[at(s)], part + 1);
    };
    const int before = static_cast<int>(ended_[at(stage)].size()) - 1;
    if (before >= 0) after(stage, before);
    for (const StageMessage* m : needs) after(m->from, m->sent_in);
    return ended;
  }

  int arrival(const StageMessage& m) const {
    const auto& parts = ended_[at(m.from)];
    int part = m.sent_in + 1;
    while (part < static_cast<int>(parts.size()) && parts[at(part)][at(m.to)] <= m.received_before)
      ++part;
    return part;
  }

  const Graph& graph_;
  const Pipeline& pipeline_;
  std::vector<int> chunk_of_;  // by op
  bool training_ = false;
  std::map<std::tuple<PartKind, int, int>, int> position_;  // kBackward: kBackwardData too
  std::vector<StageMessage> messages_;
  std::vector<std::vector<std::vector<int>>> ended_;  // [stage][part][stage]
};

}  // namespace

std::vector<StageMessage> stage_messages(const Graph& graph, const Pipeline& pipeline) {
  return MessageFinder(graph, pipeline).run();
}

std::string describe(const StageMessage& m, const Graph& graph) {
  std::string text =
      m.what == What::kLabels
          ? "labels"
          : (m.what == What::kGradient ? "gradient of " : "value ") + graph.value(m.value).name;
  return text + ", micro-batch " + std::to_string(m.micro_batch) + ", from stage " +
         std::to_string(m.from) + " to " + std::to_string(m.to);
}

std::vector<bool> ops_of_stage(const Graph& graph, const Pipeline& pipeline, int stage) {
  std::vector<bool> ops(graph.ops().size(), false);
  for (std::size_t c = 0; c < pipeline.chunks.size(); ++c)
    for (OpId id = pipeline.chunks[c].first; id <= pipeline.chunks[c].last; ++id)
      ops[at(id)] = pipeline.stage_of_chunk[c] == stage;
  return ops;
}

Pipeline forward_only(Pipeline pipeline) {
  for (auto& order : pipeline.order)
    std::erase_if(order, [](const Part& part) { return part.kind != PartKind::kForward; });
  return pipeline;
}

}  // namespace lockstep
