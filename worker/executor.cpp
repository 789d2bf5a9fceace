#include "worker/executor.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "data/error.h"
#include "data/timing.h"

namespace lockstep {

StepTimes& StepTimes::operator+=(const StepTimes& o) {
  compute += o.compute;
  sync_bn += o.sync_bn;
  reduce += o.reduce;
  pipeline += o.pipeline;
  barrier += o.barrier;
  update += o.update;
  bytes += o.bytes;
  return *this;
}

Executor::Executor(const Plan& plan, Backend& backend, ModelState& state, Arena& arena,
                   const Communicator& group, Team& team, const AllReduceOptions& all_reduce,
                   const Communicator* stages)
    : plan_(plan),
      state_(state),
      arena_(arena),
      group_(group),
      team_(team),
      all_reduce_(all_reduce),
      stages_(stages),
      switches_(plan, state.graph(), [this](BufferId id) { return memory_of(id); }) {
  const auto micro_batches = static_cast<std::size_t>(plan.micro_batches);
  contexts_.resize(micro_batches);
  pixels_.resize(micro_batches);
  labels_.resize(micro_batches);
  images_.reserve(micro_batches);
  if (arena.bytes() < plan.arena_bytes || team.threads() != plan.lanes)
    throw InternalError("executor: arena or team do not fit the plan");
  if (plan.staged && !stages) throw InternalError("executor: a stage needs the other stages");
  for (int l = 0; l < plan.lanes; ++l) {
    scratch_.emplace_back(std::size_t{0});
    ticks_.emplace_back(plan.calls.size(), 0);
  }
  bind_kernels(backend);
  for (const Bucket& bucket : plan.buckets)
    reductions_.emplace_back(group, bucket.count, all_reduce, &state.gradient_memory());
  reducing_.assign(reductions_.size(), false);
  for (int t = 0; t < plan.transfers; ++t) transfers_.emplace_back(*stages);
  travelling_.reserve(transfers_.size());
  bind_labels();
  team_.run([&](int) { backend.start_thread(); });
}

Executor::~Executor() = default;

Memory Executor::memory_of(BufferId id) const {
  const Buffer& b = plan_.buffer(id);
  Memory m{.image_bytes = b.image_bytes,
           .lane_bytes = b.lane_bytes,
           .transient = b.transient,
           .bytes = b.lane_bytes ? b.lane_bytes : b.bytes};
  auto in = [&](std::span<float> segment) {
    return reinterpret_cast<std::byte*>(segment.data()) + b.offset;
  };
  switch (b.segment) {
    case Segment::kArena:
      m.base = arena_.data() + b.offset;
      break;
    case Segment::kParameters:
      m.base = in(state_.parameters());
      break;
    case Segment::kGradients:
      m.base = in(state_.gradients());
      break;
    case Segment::kSlots:
      m.base = in(state_.slots());
      break;
    case Segment::kStatistics:
      m.base = in(state_.statistics());
      break;
    case Segment::kPixels:
      m.slot = &pixels_[static_cast<std::size_t>(b.micro_batch)];
      break;
    case Segment::kLabels:
      break;  // found in the context
  }
  return m;
}

void Executor::bind_kernels(Backend& backend) {
  for (const Call& call : plan_.calls) {
    Binding binding{.lanes = plan_.lanes};
    for (const Operand& o : call.operands)
      binding.memories.emplace_back(o.role, memory_of(o.buffer));
    kernels_.push_back(backend.make_kernel(call, std::move(binding)));
  }
}

void Executor::bind_labels() {
  for (const Call& call : plan_.calls) {
    const BufferId buffer = call.buffer(Role::kLabels);
    if (buffer != kNone)
      labels_[static_cast<std::size_t>(call.micro_batch)] =
          memory_of(buffer).of_lane<const std::int32_t>();
  }
}

/// Chunk by chunk, all calls of the phase depth first; a call cuts the chunk into its own pieces.
std::vector<Executor::Entry> Executor::lane_entries(const Phase& phase, int begin, int end) const {
  std::vector<Entry> entries;
  for (int chunk = begin; chunk < end; chunk += phase.chunk_images) {
    const int chunk_end = std::min(chunk + phase.chunk_images, end);
    for (int c : phase.calls) {
      const int piece = plan_.calls[static_cast<std::size_t>(c)].chunk_images;
      for (int first = chunk; first < chunk_end; first += piece)
        entries.push_back({kernels_[static_cast<std::size_t>(c)].get(),
                           c,
                           plan_.calls[static_cast<std::size_t>(c)].micro_batch,
                           {first, std::min(first + piece, chunk_end), chunk}});
    }
  }
  return entries;
}

/// Deals the units of all calls out to the threads in contiguous, equal shares.
std::vector<std::vector<Executor::Entry>> Executor::team_entries(const Phase& phase) const {
  const int threads = phase.kind == PhaseKind::kSerial ? 1 : plan_.lanes;
  std::vector<std::vector<Entry>> entries(static_cast<std::size_t>(plan_.lanes));
  std::int64_t total = 0;
  for (int c : phase.calls) total += kernels_[static_cast<std::size_t>(c)]->units();
  std::int64_t before = 0;
  for (int c : phase.calls) {
    Kernel* kernel = kernels_[static_cast<std::size_t>(c)].get();
    const std::int64_t units = kernel->units();
    for (int t = 0; t < threads; ++t) {
      const std::int64_t first = std::max(total * t / threads - before, std::int64_t{0});
      const std::int64_t last = std::min(total * (t + 1) / threads - before, units);
      if (first < last)
        entries[static_cast<std::size_t>(t)].push_back(
            {kernel,
             c,
             plan_.calls[static_cast<std::size_t>(c)].micro_batch,
             {static_cast<int>(first), static_cast<int>(last), 0}});
    }
    before += units;
  }
  return entries;
}

void Executor::prepare(std::span<const int> images) {
  if (images.size() != static_cast<std::size_t>(plan_.micro_batches))
    throw InternalError("executor: " + std::to_string(images.size()) + " micro-batches, planned " +
                        std::to_string(plan_.micro_batches));
  for (int count : images)
    if (count < 0 || count > plan_.max_images)
      throw InternalError("executor: " + std::to_string(count) + " images, planned for at most " +
                          std::to_string(plan_.max_images));
  images_.assign(images.begin(), images.end());
  if (programs_.contains(images_)) return;
  Program program;
  for (const PlanItem& item : plan_.items) {
    auto& lanes = program.entries.emplace_back(static_cast<std::size_t>(plan_.lanes));
    const auto* phase = std::get_if<Phase>(&item.what);
    if (!phase) continue;
    if (phase->kind != PhaseKind::kLanes) {
      lanes = team_entries(*phase);
      continue;
    }
    const auto first = static_cast<std::size_t>(phase->calls.front());
    const int count = images[static_cast<std::size_t>(plan_.calls[first].micro_batch)];
    for (int l = 0; l < plan_.lanes; ++l) {
      const auto [begin, end] = lane_images(count, plan_.lanes, l);
      auto& entries = lanes[static_cast<std::size_t>(l)] = lane_entries(*phase, begin, end);
      for (const Entry& e : entries) e.kernel->prepare(e.range.last - e.range.first);
    }
  }
  std::size_t scratch = 0;
  for (const auto& kernel : kernels_) scratch = std::max(scratch, kernel->scratch_bytes());
  for (Arena& own : scratch_)
    if (own.bytes() < scratch) own = Arena(scratch);
  programs_.emplace(images_, std::move(program));
}

std::size_t Executor::scratch_bytes() const {
  std::size_t bytes = 0;
  for (const Arena& own : scratch_) bytes += own.bytes();
  return bytes;
}

double Executor::lap(double& bucket) {
  const double t = seconds_now(), spent = t - last_lap_;
  bucket += spent;
  last_lap_ = t;
  return spent;
}

void Executor::run(std::span<const StepContext> micro_batches, bool last) {
  images_.clear();
  for (const StepContext& context : micro_batches) images_.push_back(context.images);
  const auto found = programs_.find(images_);
  if (found == programs_.end()) throw InternalError("executor: prepare() was not called");
  for (std::size_t m = 0; m < contexts_.size(); ++m) {
    contexts_[m] = micro_batches[m];
    if (labels_[m]) contexts_[m].labels = labels_[m];
    pixels_[m] = reinterpret_cast<std::byte*>(const_cast<float*>(contexts_[m].pixels));
  }
  switches_.draw(contexts_.front());
  times_ = {};
  last_lap_ = seconds_now();
  const auto work = [&](int thread) { run_thread(found->second, last, thread); };
  team_.run(std::ref(work));  // a reference: no memory is taken for it
}

void Executor::run_entries(const std::vector<Entry>& entries, int thread) {
  auto& ticks = ticks_[static_cast<std::size_t>(thread)];
  Lane lane{.index = thread, .scratch = scratch_[static_cast<std::size_t>(thread)].data()};
  int micro_batch = kNone;
  std::uint64_t before = ticks_now();
  for (const Entry& e : entries) {
    const StepContext& context = contexts_[static_cast<std::size_t>(e.micro_batch)];
    if (micro_batch != e.micro_batch)
      std::tie(lane.begin, lane.end) = lane_images(context.images, plan_.lanes, thread);
    micro_batch = e.micro_batch;
    if (switches_.is_off(e.call))
      switches_.zero(e.call, context, lane, e.range);
    else
      e.kernel->run(context, lane, e.range);
    const std::uint64_t after = ticks_now();
    ticks[static_cast<std::size_t>(e.call)] += after - before;
    before = after;
    if (thread == 0 && (active_reductions_ > 0 || !travelling_.empty())) poll();
  }
}

void Executor::run_thread(const Program& program, bool last, int thread) {
  const auto t = static_cast<std::size_t>(thread);
  const bool leader = thread == 0;
  enum class Last { kMet, kLanes, kLeader } last_ran = Last::kMet;
  auto meet = [&] {
    team_.barrier();
    if (leader) lap(times_.barrier);
    last_ran = Last::kMet;
  };
  for (std::size_t i = 0; i < plan_.items.size(); ++i) {
    const PlanItem& item = plan_.items[i];
    if (item.last_micro_batch_only && !last) continue;
    const auto* phase = std::get_if<Phase>(&item.what);
    if (phase && phase->kind == PhaseKind::kLanes) {
      if (last_ran == Last::kLeader) meet();
      run_entries(program.entries[i][t], thread);
      if (leader) lap(times_.compute);
      last_ran = Last::kLanes;
    } else if (phase && phase->kind == PhaseKind::kTeam) {
      if (last_ran != Last::kMet) meet();
      run_entries(program.entries[i][t], thread);
      if (leader) lap(item.last_micro_batch_only ? times_.update : times_.compute);
      meet();
    } else {
      if (last_ran == Last::kLanes) meet();
      if (leader && phase) {
        run_entries(program.entries[i][t], thread);
        lap(item.last_micro_batch_only ? times_.update : times_.compute);
      } else if (leader) {
        run_message(std::get<Message>(item.what));
      }
      last_ran = Last::kLeader;
    }
  }
}

void Executor::run_sums(const Message& message) {
  if (switches_.is_off(message)) return;
  const Memory m = memory_of(message.buffer);
  const std::span<double> sums(m.of_lane<double>(), m.bytes / sizeof(double));
  if (message.kind == MessageKind::kAllReduceSums) {
    all_reduce_sum<double>(group_, sums, message.name, all_reduce_);
    times_.bytes += static_cast<double>(m.bytes);
  } else if (message.kind == MessageKind::kStageSums) {
    all_reduce_sum<double>(*stages_, sums, message.name, all_reduce_);
  } else {
    stages_->broadcast(std::as_writable_bytes(sums), message.peer, message.name);
  }
  lap(message.kind == MessageKind::kAllReduceSums ? times_.sync_bn : times_.pipeline);
}

/// Zero images are a message too: a rank cannot know what the others leave out.
void Executor::run_transfer(const Message& message) {
  Transfer& transfer = transfers_[static_cast<std::size_t>(message.transfer)];
  const Buffer& buffer = plan_.buffer(message.buffer);
  const StepContext& context = contexts_[static_cast<std::size_t>(buffer.micro_batch)];
  const std::size_t bytes = buffer.image_bytes * static_cast<std::size_t>(context.images);
  const auto start = [&] {
    const Memory m = memory_of(message.buffer);
    if (buffer.segment == Segment::kLabels)
      return reinterpret_cast<std::byte*>(const_cast<std::int32_t*>(context.labels));
    return m.slot ? *m.slot : m.base;
  };
  switch (message.kind) {
    case MessageKind::kStartSend:
      transfer.start_send({start(), bytes}, message.peer, message.tag, message.name);
      times_.bytes += static_cast<double>(bytes);
      travelling_.push_back(message.transfer);
      break;
    case MessageKind::kStartReceive:
      transfer.start_receive({start(), bytes}, message.peer, message.tag, message.name);
      travelling_.push_back(message.transfer);
      break;
    default:
      transfer.finish();
      std::erase(travelling_, message.transfer);
  }
  lap(times_.pipeline);
}

void Executor::run_message(const Message& message) {
  if (is_transfer(message.kind)) return run_transfer(message);
  switch (message.kind) {
    case MessageKind::kStartReduce: {
      const auto b = static_cast<std::size_t>(message.bucket);
      const Bucket& bucket = plan_.buckets[b];
      reductions_[b].start(state_.gradients().subspan(bucket.begin, bucket.count), sequence_++,
                           message.name);
      times_.bytes += static_cast<double>(bucket.count * sizeof(float));
      reducing_[b] = true;
      ++active_reductions_;
      lap(times_.reduce);
      break;
    }
    case MessageKind::kFinishReduce:
      for (std::size_t b = 0; b < reductions_.size(); ++b) {
        if (reducing_[b]) reductions_[b].finish();
        reducing_[b] = false;
      }
      active_reductions_ = 0;
      lap(times_.reduce);
      break;
    default:
      run_sums(message);
  }
}

void Executor::poll() {
  for (std::size_t b = 0; b < reductions_.size(); ++b) {
    if (!reducing_[b] || !reductions_[b].progress()) continue;
    reducing_[b] = false;
    --active_reductions_;
  }
  std::erase_if(travelling_,
                [&](int t) { return transfers_[static_cast<std::size_t>(t)].progress(); });
}

std::span<const double> Executor::loss_sums() const {
  return {memory_of(plan_.loss_sums).of_lane<double>(),
          plan_.buffer(plan_.loss_sums).bytes / sizeof(double)};
}

double Executor::gradient_norm() const { return *memory_of(plan_.gradient_norm).of_lane<double>(); }

bool Executor::update_held() const {
  return memory_of(plan_.gradient_norm).of_lane<double>()[2] != 0;
}

const float* Executor::logits(int micro_batch) const {
  if (plan_.logits.empty()) return nullptr;
  const BufferId id = plan_.logits.at(static_cast<std::size_t>(micro_batch));
  return reinterpret_cast<const float*>(memory_of(id).base);
}

std::vector<std::uint64_t> Executor::call_ticks() const {
  std::vector<std::uint64_t> sum(plan_.calls.size(), 0);
  for (const auto& lane : ticks_)
    for (std::size_t c = 0; c < lane.size(); ++c) sum[c] += lane[c];
  return sum;
}

}  // namespace lockstep
