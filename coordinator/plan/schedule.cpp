#include "coordinator/plan/schedule.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace lockstep {

namespace {

constexpr int kChunkRatio = 4;  // calls whose chunks differ by more run in phases of their own

class Scheduler {
 public:
  Scheduler(Draft draft, BucketPlan buckets, const PlanOptions& options)
      : draft_(std::move(draft)), buckets_(std::move(buckets)), options_(options) {
    Plan& plan = schedule_.plan;
    plan.training = options.training;
    plan.layout = options.layout;
    plan.activations = options.activations;
    plan.lanes = options.lanes;
    plan.max_images = options.max_images;
    plan.loss_sums = draft_.loss_sums;
    plan.gradient_norm = draft_.gradient_norm;
    plan.logits = draft_.logits;
    plan.staged = options.staged();
    plan.micro_batches = options.pipeline.micro_batches;
    plan.transfers = draft_.transfers;
    plan.buckets = options.training ? buckets_.buckets : std::vector<Bucket>{};
    sort_into_levels();
  }

  Schedule run() {
    boundary(-1);
    for (int level = 0; level < levels_; ++level) {
      lane_phases(level);
      boundary(level);
    }
    tail();
    schedule_.plan.buffers = std::move(draft_.buffers);
    return std::move(schedule_);
  }

 private:
  using Indices = std::vector<std::size_t>;

  /// Calls by (level, place), in the draft's order. Folding waits until its bucket is complete, so
  /// that threads have several parameters to share.
  void sort_into_levels() {
    if (options_.staged()) find_fold_levels();
    for (DraftCall& d : draft_.calls) {
      if (d.place == Place::kTail) continue;
      if (d.call.kind == CallKind::kFoldGradient) d.level = fold_level(d);
      levels_ = std::max(levels_, d.level + 1);
    }
    for (const DraftMessage& m : draft_.sends) levels_ = std::max(levels_, m.level + 1);
    by_level_.resize(static_cast<std::size_t>(levels_ + 1));
    for (std::size_t i = 0; i < draft_.calls.size(); ++i) {
      const DraftCall& d = draft_.calls[i];
      if (d.place == Place::kTail)
        tail_.push_back(i);
      else
        by_level_[static_cast<std::size_t>(d.level + 1)][static_cast<std::size_t>(d.place)]
            .push_back(i);
    }
  }

  /// Of the weights' gradient and of the bias's, which may be in the next one.
  std::vector<std::size_t> buckets_of(const Call& call) const {
    std::vector<std::size_t> found;
    for (const Role role : {Role::kGradient, Role::kBiasGradient}) {
      const BufferId gradient = call.buffer(role);
      if (gradient == kNone) continue;
      const std::size_t offset =
          draft_.buffers[static_cast<std::size_t>(gradient)].offset / sizeof(float);
      std::size_t b = 0;
      while (offset < buckets_.buckets[b].begin) ++b;
      found.push_back(b);
    }
    return found;
  }

  /// In a pipeline each part completes what it has of a bucket.
  void find_fold_levels() {
    for (const DraftCall& d : draft_.calls) {
      if (d.call.kind != CallKind::kFoldGradient) continue;
      for (const std::size_t bucket : buckets_of(d.call)) {
        int& level = fold_levels_[{bucket, d.part}];
        level = std::max(level, d.level);
      }
    }
  }

  /// Before any of its buckets is sent.
  int fold_level(const DraftCall& d) const {
    int level = DraftMessage::kEnd;
    for (const std::size_t bucket : buckets_of(d.call))
      level = std::min(level, options_.staged() ? fold_levels_.at({bucket, d.part})
                                                : buckets_.ready_level[bucket]);
    return level;
  }

  const Indices& calls(int level, Place place) const {
    return by_level_[static_cast<std::size_t>(level + 1)][static_cast<std::size_t>(place)];
  }

  int append(std::size_t index) {
    schedule_.plan.calls.push_back(std::move(draft_.calls[index].call));
    schedule_.section_of_call.push_back(section_);
    return static_cast<int>(schedule_.plan.calls.size()) - 1;
  }

  void add_phase(const std::string& name, PhaseKind kind, const Indices& indices,
                 bool last_only = false) {
    if (indices.empty()) return;
    ++section_;
    Phase phase{.name = name, .kind = kind};
    for (std::size_t i : indices) phase.calls.push_back(append(i));
    schedule_.plan.items.push_back({std::move(phase), last_only});
    ++section_;
  }

  void add_message(Message message, bool last_only = false) {
    schedule_.plan.items.push_back({std::move(message), last_only});
    ++section_;
  }

  /// Depth first over all calls of a level, cut where the chunk changes much. Lanes go on into the
  /// next level if nothing is to be done at the boundary: one section, one name.
  void lane_phases(int level) {
    Phase phase;
    int smallest = 0;
    auto flush = [&] {
      if (!phase.calls.empty()) schedule_.plan.items.push_back({std::move(phase)});
      phase = {};
    };
    for (std::size_t i : calls(level, Place::kLane)) {
      const int chunk = draft_.calls[i].call.chunk_images;
      const bool far = !phase.calls.empty() &&
                       (chunk > kChunkRatio * smallest || kChunkRatio * chunk < phase.chunk_images);
      if (far) flush();
      if (phase.calls.empty()) {
        if (lane_section_ != section_) lane_name_ = "level" + std::to_string(level);
        lane_section_ = section_;
        phase = {.name = lane_name_, .kind = PhaseKind::kLanes};
        phase.chunk_images = smallest = chunk;
      }
      smallest = std::min(smallest, chunk);
      phase.chunk_images = std::max(phase.chunk_images, chunk);
      phase.calls.push_back(append(i));
    }
    flush();
  }

  /// Of those for a boundary, in their order.
  void add_transfers(const std::vector<DraftMessage>& messages, int level) {
    for (const DraftMessage& m : messages)
      if (m.level == level) add_message(m.message);
  }

  void boundary(int level) {
    add_transfers(draft_.sends, level);
    reductions(level);
    add_transfers(draft_.arrivals, level);
  }

  void reductions(int level) {
    const std::string at = "boundary" + std::to_string(level);
    add_phase(at + ".team", PhaseKind::kTeam, calls(level, Place::kTeam));
    add_phase(at + ".combine", PhaseKind::kSerial, calls(level, Place::kCombine));
    const auto index = static_cast<std::size_t>(level);
    if (options_.sync_bn && level >= 0 && index < draft_.level_sums.size() &&
        draft_.level_sums[index] != kNone)
      add_message({.kind = MessageKind::kAllReduceSums,
                   .name = "sync_bn.level" + std::to_string(level),
                   .buffer = draft_.level_sums[index]});
    add_phase(at + ".finish", PhaseKind::kSerial, calls(level, Place::kFinish));
    if (!options_.training || level < 0) return;
    for (std::size_t b = 0; b < buckets_.buckets.size(); ++b)
      if (buckets_.ready_level[b] == level)
        add_message({.kind = MessageKind::kStartReduce,
                     .name = "bucket" + std::to_string(b),
                     .bucket = static_cast<int>(b)},
                    true);
  }

  /// The loss is combined in every micro-batch; the rest happens once a step.
  void tail() {
    if (options_.staged()) stage_tail();
    for (std::size_t i : tail_) {
      const CallKind kind = draft_.calls[i].call.kind;
      if (kind == CallKind::kCombineLoss) {
        add_phase("loss", PhaseKind::kSerial, {i});
        add_message(
            {.kind = MessageKind::kAllReduceSums, .name = "loss", .buffer = draft_.loss_sums},
            true);
        if (options_.training)
          add_message({.kind = MessageKind::kFinishReduce, .name = "gradients"}, true);
      } else {
        const bool team = kind != CallKind::kFinishGradientNorm;
        add_phase(kind == CallKind::kUpdate ? "update" : "gradient_norm",
                  team ? PhaseKind::kTeam : PhaseKind::kSerial, {i}, true);
        if (kind == CallKind::kGradientNorm && options_.staged())
          add_message({.kind = MessageKind::kStageSums,
                       .name = "gradient norm",
                       .buffer = draft_.norm_partials},
                      true);
      }
    }
  }

  /// The loss is summed over the replicas of its stage, then told to the other stages.
  void stage_tail() {
    add_transfers(draft_.arrivals, DraftMessage::kEnd);
    const int stage = options_.pipeline.stage_of_chunk.back();
    if (stage == options_.stage)
      add_message({.kind = MessageKind::kAllReduceSums, .name = "loss", .buffer = draft_.loss_sums},
                  true);
    add_message({.kind = MessageKind::kBroadcastSums,
                 .name = "loss of all stages",
                 .buffer = draft_.loss_sums,
                 .peer = stage},
                true);
    if (options_.training)
      add_message({.kind = MessageKind::kFinishReduce, .name = "gradients"}, true);
  }

  Draft draft_;
  BucketPlan buckets_;
  PlanOptions options_;
  Schedule schedule_;
  int levels_ = 0;
  int section_ = 0;
  int lane_section_ = -1;  // of the latest lanes' phase
  std::string lane_name_;
  std::vector<std::array<Indices, 4>> by_level_;
  std::map<std::pair<std::size_t, int>, int> fold_levels_;  // by bucket and part
  Indices tail_;
};

}  // namespace

Schedule schedule(const Graph& graph, Draft draft, const PlanOptions& options) {
  BucketPlan buckets = make_buckets(graph, draft.parameter_level, options.bucket_bytes,
                                    owned_tensors(graph, options));
  return Scheduler(std::move(draft), std::move(buckets), options).run();
}

}  // namespace lockstep
