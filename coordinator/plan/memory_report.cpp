#include "coordinator/plan/memory_report.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "data/checkpoint.h"
#include "data/loader.h"
#include "layers/layout.h"

namespace lockstep {

namespace {

const char* name_of(BufferKind kind) {
  switch (kind) {
    case BufferKind::kActivation:
      return "activations";
    case BufferKind::kActivationGradient:
      return "activation gradients";
    case BufferKind::kWorkspace:
      return "workspace";
    case BufferKind::kPackedWeights:
      return "packed weights";
    case BufferKind::kLaneGradient:
      return "weight gradients of the lanes";
    case BufferKind::kStatistics:
      return "statistics and sums";
    case BufferKind::kState:
      return "state";
  }
  return "";
}

constexpr const char* kLaneChunks = "chunks of the lanes";

/// By call: first and last call of the stretch without a barrier that it lies in. Lanes drift apart
/// there, so that a buffer which one call uses has its memory for all of them.
std::vector<std::pair<int, int>> barrier_free_stretches(const Plan& plan) {
  std::vector<std::pair<int, int>> stretches(plan.calls.size());
  const PlanItem* before = nullptr;
  int first = 0;
  for (const PlanItem& item : plan.items) {
    const auto* phase = std::get_if<Phase>(&item.what);
    const auto* last = before ? std::get_if<Phase>(&before->what) : nullptr;
    before = &item;
    if (!phase || phase->calls.empty()) continue;
    const bool goes_on = last && phase->kind == PhaseKind::kLanes &&
                         last->kind == PhaseKind::kLanes && last->name == phase->name;
    if (!goes_on) first = phase->calls.front();
    for (int c = first; c <= phase->calls.back(); ++c)
      stretches[static_cast<std::size_t>(c)] = {first, phase->calls.back()};
  }
  return stretches;
}

/// Images that a lane's kernels are called with, in the order of the executor's chunks and pieces.
void prepare_kernel(Kernel& kernel, const Phase& phase, int piece, const Plan& plan) {
  for (int l = 0; l < plan.lanes; ++l) {
    const auto [begin, end] = lane_images(plan.max_images, plan.lanes, l);
    for (int chunk = begin; chunk < end; chunk += phase.chunk_images) {
      const int chunk_end = std::min(chunk + phase.chunk_images, end);
      for (int first = chunk; first < chunk_end; first += piece)
        kernel.prepare(std::min(first + piece, chunk_end) - first);
    }
  }
}

std::size_t floats(std::size_t count) { return count * sizeof(float); }

/// The most bytes of a checkpoint that any rank writes.
std::size_t largest_snapshot(const Graph& graph, const MemoryQuestion& question) {
  const OwnedTensors& owned = question.owned;
  const auto ranks = static_cast<std::size_t>(question.workers);
  std::vector<std::int64_t> sizes;
  for (int p = 0; p < static_cast<int>(graph.parameters().size()); ++p)  // and its slots
    if (owned.parameter(p))
      sizes.insert(sizes.end(), 1 + question.optimizer.slots.size(),
                   graph.parameter(p).elements() * std::int64_t{sizeof(float)});
  for (int s = 0; s < static_cast<int>(graph.statistics().size()); ++s)
    if (owned.statistic(s))
      sizes.push_back(graph.statistics()[static_cast<std::size_t>(s)].channels *
                      std::int64_t{sizeof(float)});
  std::vector<std::size_t> bytes(ranks, 0);
  const std::vector<int> writer_of = deal_tensors(sizes, question.workers);
  for (std::size_t i = 0; i < sizes.size(); ++i)
    bytes[static_cast<std::size_t>(writer_of[i])] += static_cast<std::size_t>(sizes[i]);
  return *std::ranges::max_element(bytes);
}

/// A stage's loader has all micro-batches of a step in a batch.
std::size_t loader_bytes(const Graph& graph, const Plan& plan, int depth) {
  const int images = plan.max_images * plan.micro_batches;
  const auto values = static_cast<std::size_t>(graph.value(graph.input()).shape.elements());
  const std::size_t batch =
      static_cast<std::size_t>(images) * (values * sizeof(float) + sizeof(std::int32_t));
  return static_cast<std::size_t>(depth + 1) * batch;
}

std::size_t sums_scratch(const Plan& plan, const MemoryQuestion& question) {
  std::size_t most = 0;
  for (const PlanItem& item : plan.items) {
    const auto* message = std::get_if<Message>(&item.what);
    if (!message || message->buffer == kNone) continue;
    const std::size_t doubles = plan.buffer(message->buffer).bytes / sizeof(double);
    most = std::max(most, sum_scratch_bytes(doubles, question.workers, question.all_reduce));
  }
  return most;
}

MemoryGroup arena_group(const Graph& graph, const Plan& train, const Plan& eval) {
  const Plan& larger = eval.arena_bytes > train.arena_bytes ? eval : train;
  ArenaPeak peak = arena_peak(larger);
  MemoryGroup group{"arena", std::move(peak.live)};
  group.parts.push_back({"gaps (alignment, fragmentation)", peak.gaps});
  if (peak.call == kNone) return group;
  const Call& call = larger.calls[static_cast<std::size_t>(peak.call)];
  if (call.op != kNone) group.name += ", fullest at " + graph.op(call.op).name;
  return group;
}

}  // namespace

std::size_t MemoryGroup::bytes() const {
  std::size_t sum = 0;
  for (const MemoryPart& part : parts) sum += part.bytes;
  return sum;
}

std::size_t total_bytes(const std::vector<MemoryGroup>& groups) {
  std::size_t sum = 0;
  for (const MemoryGroup& group : groups) sum += group.bytes();
  return sum;
}

ArenaPeak arena_peak(const Plan& plan) {
  if (plan.calls.empty()) return {.gaps = plan.arena_bytes};
  const auto stretches = barrier_free_stretches(plan);
  std::set<BufferId> lane_spaces;
  for (const Buffer& b : plan.buffers)
    if (b.transient) lane_spaces.insert(b.parent);

  // By name: bytes that begin to live at a call, less those that ended before it.
  std::map<std::string, std::vector<std::ptrdiff_t>> changes;
  for (BufferId id = 0; id < static_cast<BufferId>(plan.buffers.size()); ++id) {
    const Buffer& b = plan.buffer(id);
    if (b.segment != Segment::kArena || b.parent != kNone) continue;
    if (b.first_call < 0 && !b.pinned) continue;
    const auto at = [&](int call) { return stretches[static_cast<std::size_t>(call)]; };
    auto& of_name = changes[lane_spaces.contains(id) ? kLaneChunks : name_of(b.kind)];
    of_name.resize(plan.calls.size() + 1);
    const auto bytes = static_cast<std::ptrdiff_t>(b.bytes);
    of_name[b.pinned ? 0 : static_cast<std::size_t>(at(b.first_call).first)] += bytes;
    of_name[b.pinned ? plan.calls.size() : static_cast<std::size_t>(at(b.last_call).second) + 1] -=
        bytes;
  }

  ArenaPeak peak;
  std::ptrdiff_t most = -1;
  std::map<std::string, std::ptrdiff_t> live;
  for (std::size_t c = 0; c < plan.calls.size(); ++c) {
    std::ptrdiff_t sum = 0;
    for (const auto& [name, change] : changes) sum += live[name] += change[c];
    if (sum <= most) continue;
    most = sum;
    peak.call = static_cast<int>(c);
    peak.live.clear();
    for (const auto& [name, bytes] : live)
      if (bytes > 0) peak.live.push_back({name, static_cast<std::size_t>(bytes)});
  }
  peak.gaps = plan.arena_bytes - static_cast<std::size_t>(std::max<std::ptrdiff_t>(most, 0));
  return peak;
}

std::size_t lane_scratch_bytes(const Plan& plan, Backend& backend) {
  // Kernels are not run, so all buffers may lie at one place; some kernels tell a bias by its
  // address.
  std::array<std::byte, 64> nowhere{};
  std::size_t most = 0;
  for (const PlanItem& item : plan.items) {
    const auto* phase = std::get_if<Phase>(&item.what);
    if (!phase) continue;
    for (int c : phase->calls) {
      const Call& call = plan.calls[static_cast<std::size_t>(c)];
      Binding binding{.lanes = plan.lanes};
      for (const Operand& o : call.operands) {
        const Buffer& b = plan.buffer(o.buffer);
        binding.memories.emplace_back(o.role,
                                      Memory{.base = nowhere.data(),
                                             .image_bytes = b.image_bytes,
                                             .lane_bytes = b.lane_bytes,
                                             .transient = b.transient,
                                             .bytes = b.lane_bytes ? b.lane_bytes : b.bytes});
      }
      const auto kernel = backend.make_kernel(call, std::move(binding));
      if (phase->kind == PhaseKind::kLanes)
        prepare_kernel(*kernel, *phase, call.chunk_images, plan);
      most = std::max(most, kernel->scratch_bytes());
    }
  }
  return most;
}

std::vector<MemoryGroup> rank_memory(const Graph& graph, const Plan& train, const Plan& eval,
                                     Backend& backend, const MemoryQuestion& question) {
  const std::size_t segment = floats(parameter_offsets(graph, question.owned).back());
  const auto lanes = static_cast<std::size_t>(train.lanes);
  std::size_t ring = 0;
  for (const Bucket& bucket : train.buckets)
    ring += async_scratch_bytes(bucket.count, question.workers, question.all_reduce);
  std::vector<MemoryGroup> groups;
  MemoryGroup state{"model state", {{"parameters", segment}, {"gradients", segment}}};
  for (const char* slot : question.optimizer.slots) state.parts.push_back({slot, segment});
  state.parts.push_back(
      {"running statistics", floats(statistic_offsets(graph, question.owned).back())});
  groups.push_back(std::move(state));
  groups.push_back(arena_group(graph, train, eval));
  groups.push_back({"scratch of the lanes",
                    {{"training", lanes * lane_scratch_bytes(train, backend)},
                     {"evaluation", lanes * lane_scratch_bytes(eval, backend)}}});
  MemoryGroup data{"data", {}};
  const int ahead = (question.prefetch + train.micro_batches - 1) / train.micro_batches;
  if (question.loads) data.parts.push_back({"training batches", loader_bytes(graph, train, ahead)});
  if (question.loads && question.validates)
    data.parts.push_back({"validation batches", loader_bytes(graph, eval, LoaderOptions{}.depth)});
  if (question.loads && question.dataset_bytes > 0)
    data.parts.push_back({"samples held in memory", question.dataset_bytes});
  groups.push_back(std::move(data));
  groups.push_back({"checkpoint", {{"snapshot", largest_snapshot(graph, question)}}});
  groups.push_back(
      {"communication",
       {{"segments of gradients", ring},
        {"sums", std::max(sums_scratch(train, question), sums_scratch(eval, question))}}});
  return groups;
}

}  // namespace lockstep
