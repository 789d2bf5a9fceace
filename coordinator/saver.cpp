#include "coordinator/saver.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>

#include "coordinator/checkpoint_choice.h"
#include "coordinator/health/health.h"
#include "coordinator/input_facts.h"
#include "data/error.h"

namespace lockstep {

namespace {

constexpr const char* kFailed = "failed: ";

/// A tensor of the state, as a checkpoint names it.
struct StateTensor {
  std::string name;
  std::vector<std::int64_t> dims;
  std::span<float> values;  // empty: another rank's
  bool of_slot = false;
  std::size_t floats() const {
    return static_cast<std::size_t>(
        std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>()));
  }
};

/// Every tensor of a checkpoint, to be loaded into.
std::vector<StateTensor> tensors_of(ModelState& state) {
  std::vector<StateTensor> tensors;
  const Graph& graph = state.graph();
  for (std::size_t i = 0; i < graph.parameters().size(); ++i) {
    const Parameter& p = graph.parameters()[i];
    const auto id = static_cast<ParameterId>(i);
    tensors.push_back({"parameters/" + p.name, p.dims, state.parameter(id, state.parameters())});
    for (std::size_t s = 0; s < state.optimizer().slots.size(); ++s)
      tensors.push_back({std::string(state.optimizer().slots[s]) + "/" + p.name, p.dims,
                         state.parameter(id, state.slot(s)), true});
  }
  for (std::size_t i = 0; i < graph.statistics().size(); ++i)
    tensors.push_back({"statistics/" + graph.statistics()[i].name,
                       {graph.statistics()[i].channels},
                       state.statistic(static_cast<int>(i))});
  return tensors;
}

void broadcast_segment(std::span<float> segment, const Communicator& group, const char* name) {
  group.broadcast(std::as_writable_bytes(segment), 0, name);
}

}  // namespace

std::vector<TensorView> checkpoint_tensors(ModelState& state) {
  std::vector<TensorView> views;
  for (StateTensor& t : tensors_of(state))
    views.push_back({std::move(t.name), std::move(t.dims), t.values});
  return views;
}

std::vector<int> checkpoint_writers(const Graph& graph, const OptimizerRule& optimizer,
                                    const std::vector<int>& stage_of_op, const Grid& grid,
                                    int first_rank) {
  std::vector<int> stages;  // by tensor, in the order of tensors_of
  std::vector<std::int64_t> bytes;
  const auto add = [&](int stage, std::int64_t floats) {
    stages.push_back(stage);
    bytes.push_back(floats * static_cast<std::int64_t>(sizeof(float)));
  };
  std::vector<int> of_parameter(graph.parameters().size(), 0),
      of_statistic(graph.statistics().size(), 0);
  for (std::size_t op = 0; op < stage_of_op.size(); ++op) {
    for (ParameterId p : graph.ops()[op].parameters)
      of_parameter[static_cast<std::size_t>(p)] = stage_of_op[op];
    if (const int first = graph.ops()[op].first_statistic; first != kNone)
      for (int i : {first, first + 1}) of_statistic[static_cast<std::size_t>(i)] = stage_of_op[op];
  }
  for (std::size_t p = 0; p < of_parameter.size(); ++p)
    for (std::size_t tensor = 0; tensor < 1 + optimizer.slots.size(); ++tensor)
      add(of_parameter[p], graph.parameters()[p].elements());
  for (std::size_t i = 0; i < of_statistic.size(); ++i)
    add(of_statistic[i], graph.statistics()[i].channels);

  std::vector<int> writers(stages.size(), 0);
  for (int s = 0; s < grid.stages(); ++s) {
    std::vector<std::int64_t> sizes;
    for (std::size_t t = 0; t < stages.size(); ++t)
      if (stages[t] == s) sizes.push_back(bytes[t]);
    const std::vector<int> dealt = deal_tensors(sizes, grid.replicas());
    for (std::size_t t = 0, i = 0; t < stages.size(); ++t)
      if (stages[t] == s) writers[t] = first_rank + grid.worker(dealt[i++], s);
  }
  return writers;
}

Saver::Saver(std::filesystem::path checkpoints, ModelState& state, const Communicator& group,
             int first_writer, const std::vector<int>& writers, int keep_newest)
    : checkpoints_(std::move(checkpoints)),
      group_(group),
      first_writer_(first_writer),
      keep_newest_(keep_newest),
      tensors_(checkpoint_tensors(state)) {
  std::size_t floats = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (writers[i] != group.rank()) continue;
    if (tensors_[i].values.empty())
      throw InternalError("checkpoint: rank " + std::to_string(group.rank()) + " is to write " +
                          tensors_[i].name + ", which it does not hold");
    mine_.push_back(i);
    floats += tensors_[i].values.size();
  }
  writer_ = std::make_unique<CheckpointWriter>(floats);
}

bool Saver::start(const TrainingState& where) {
  try {
    if (writer_->busy()) writer_->take_report();  // pruning after the last save
  } catch (const Error& e) {
    spdlog::warn("old checkpoints stay: {}", e.what());
  }
  std::string failure;
  if (group_.rank() == 0) {
    try {
      temporary_checkpoint_directory(checkpoints_, where.step);
    } catch (const Error& e) {
      failure = e.what();
    }
  }
  group_.broadcast(failure, 0, "checkpoint directory");
  if (!failure.empty()) {
    if (group_.rank() == 0)
      spdlog::error("checkpoint of step {} not saved: {}", where.step, failure);
    return false;
  }
  saving_ = where;
  if (group_.rank() < first_writer_) return true;
  std::vector<TensorView> views;
  std::span<float> space = writer_->snapshot();
  refused_.clear();
  for (std::size_t i : mine_) {
    const TensorView& t = tensors_[i];
    if (first_not_finite(t.values) >= 0) {
      refused_ =
          kFailed + t.name + " holds values that are not finite numbers: training has diverged";
      return true;  // publish() says so to all
    }
    std::ranges::copy(t.values, space.begin());
    views.push_back({t.name, t.dims, space.first(t.values.size())});
    space = space.subspan(t.values.size());
  }
  const std::filesystem::path directory = checkpoints_ / (".tmp-" + checkpoint_name(where.step));
  writer_->start_shard(directory, group_.rank() - first_writer_, std::move(views));
  return true;
}

bool Saver::publish(const std::function<void()>& before_publish) {
  if (!saving_) return true;
  std::string failure;
  std::string report = refused_;
  try {
    if (writer_->busy()) report = writer_->take_report();
  } catch (const Error& e) {
    report = kFailed + std::string(e.what());
  }
  std::vector<std::string> reports = group_.gather(report, 0, "checkpoint reports");
  if (group_.rank() == 0) {
    try {
      for (const std::string& r : reports)
        if (r.rfind(kFailed, 0) == 0) throw IoError(r.substr(std::string(kFailed).size()));
      reports.erase(reports.begin(), reports.begin() + first_writer_);
      if (before_publish) before_publish();
      publish_checkpoint(checkpoints_, *saving_, reports);
      writer_->start_prune(checkpoints_, keep_newest_, saving_->best_step);
    } catch (const Error& e) {
      failure = e.what();
      spdlog::error("checkpoint of step {} not saved: {}; older ones are untouched", saving_->step,
                    failure);
    }
  }
  group_.broadcast(failure, 0, "checkpoint published");
  saving_.reset();
  return failure.empty();
}

namespace {

constexpr const char* kAnotherModel =
    "; it is of another model: use another run.name, or the job it was made with";

std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text = "[";
  for (const std::int64_t d : dims) text += (text.size() > 1 ? "," : "") + std::to_string(d);
  return text + "]";
}

/// @throws CheckpointError if the checkpoint has other parameters or statistics than the model.
void check_tensors(const Checkpoint& checkpoint, const std::vector<StateTensor>& tensors) {
  const std::string where = checkpoint.directory().string();
  std::ptrdiff_t of_model = 0;
  for (const StateTensor& t : tensors) {
    if (t.of_slot) continue;
    ++of_model;
    const bool there = checkpoint.contains(t.name);
    if (there && checkpoint.dims(t.name) == t.dims) continue;
    throw CheckpointError(where + ": " +
                          (there
                               ? "has " + t.name + " of shape " + dims_text(checkpoint.dims(t.name))
                               : "lacks " + t.name) +
                          ", the model has it of shape " + dims_text(t.dims) + kAnotherModel);
  }
  const auto found = std::ranges::count_if(checkpoint.names(), [](const std::string& name) {
    return name.starts_with("parameters/") || name.starts_with("statistics/");
  });
  if (found != of_model)
    throw CheckpointError(where + ": holds " + std::to_string(found) +
                          " parameters and statistics, the model has " + std::to_string(of_model) +
                          kAnotherModel);
}

/// Whether it holds all slots of the state's optimizer.
bool has_slots(const Checkpoint& checkpoint, const std::vector<StateTensor>& tensors) {
  return std::ranges::all_of(tensors, [&](const StateTensor& t) {
    return !t.of_slot || (checkpoint.contains(t.name) && checkpoint.dims(t.name) == t.dims);
  });
}

/// "momentum": the folders of a checkpoint that are an optimizer's.
std::string slots_in(const Checkpoint& checkpoint) {
  std::string all, last;
  for (const std::string& name : checkpoint.names()) {
    const std::string folder = name.substr(0, name.find('/'));
    if (folder == "parameters" || folder == "statistics" || folder == last) continue;
    all += (all.empty() ? "" : ", ") + folder;
    last = folder;
  }
  return all.empty() ? "none" : all;
}

/// On rank 0, of the run's own checkpoint: whether its slots are taken; else they begin at zero.
/// @throws CheckpointError where they are another optimizer's and may not.
bool takes_slots(const Checkpoint& checkpoint, ModelState& state, bool may_begin) {
  if (has_slots(checkpoint, tensors_of(state))) return true;
  const OptimizerRule& rule = state.optimizer();
  std::string wanted;
  for (const char* slot : rule.slots) wanted += (wanted.empty() ? "" : ", ") + std::string(slot);
  const std::string word = optimizer_word(rule.kind);
  const std::string found = checkpoint.directory().string() +
                            ": was trained by another optimizer: it holds " + slots_in(checkpoint) +
                            ", optimizer.name = " + word + " needs " + wanted;
  if (!may_begin)
    throw CheckpointError(
        found +
        ". Set optimizer.name to what it was; or begin anew from its weights, with another "
        "run.name and run.start_from; or set checkpoint.on_changed = warn, to go on with " +
        wanted + " zeroed");
  spdlog::warn("resuming: {}; training goes on with these zeroed", found);
  return false;
}

/// Tensor by tensor, so that no rank needs memory for what it does not hold. Without its slots the state's are zeroed.
void give_tensors(const Checkpoint* checkpoint, bool with_slots, ModelState& state,
                  const Communicator& group) {
  std::vector<float> passing;
  if (!with_slots) std::ranges::fill(state.slots(), 0.0f);
  for (const StateTensor& t : tensors_of(state)) {
    if (t.of_slot && !with_slots) continue;
    std::span<float> values = t.values;
    if (values.empty()) {
      passing.resize(t.floats());
      values = passing;
    }
    if (checkpoint) checkpoint->read(t.name, values);
    broadcast_segment(values, group, t.name.c_str());
  }
}

/// From the seed. Processors may round differently, so the first replica's values are everybody's.
void begin(ModelState& state, std::uint64_t seed, const Communicator& replicas) {
  state.initialize(seed);
  broadcast_segment(state.parameters(), replicas, "parameters");
  broadcast_segment(state.slots(), replicas, "optimizer slots");
  broadcast_segment(state.statistics(), replicas, "statistics");
}

}  // namespace

TrainingState load_checkpoint(const Checkpoint& checkpoint, ModelState& state) {
  const std::vector<StateTensor> tensors = tensors_of(state);
  check_tensors(checkpoint, tensors);
  const bool with_slots = has_slots(checkpoint, tensors);
  if (!with_slots) std::ranges::fill(state.slots(), 0.0f);
  for (const StateTensor& t : tensors)
    if (!t.of_slot || with_slots) checkpoint.read(t.name, t.values);
  TrainingState where = checkpoint.state();
  if (!with_slots) where.slot_lag = where.step;
  return where;
}

TrainingState share_training_state(TrainingState where, int root, const Communicator& group) {
  struct Plain {
    std::int64_t step, epoch, cursor;
    std::uint64_t seed;
    double best_metric;
    std::int64_t best_step, slot_lag;
    PlateauState plateau;
  } plain{where.step,     where.epoch,       where.cursor,
          where.seed,     where.best_metric, where.best_step.value_or(-1),
          where.slot_lag, where.plateau};
  group.broadcast_value(plain, root, "training state");
  group.broadcast(where.details, root, "training state");
  where.step = plain.step;
  where.epoch = plain.epoch;
  where.cursor = plain.cursor;
  where.seed = plain.seed;
  where.best_metric = plain.best_metric;
  where.slot_lag = plain.slot_lag;
  where.plateau = plain.plateau;
  where.best_step = plain.best_step < 0 ? std::nullopt : std::optional(plain.best_step);
  return where;
}

namespace {

/// On rank 0: the run's own newest good one, if it is to be resumed.
std::optional<Checkpoint> find_own(const StartingPoint& from) {
  for (const std::string& name : remove_stale_temporaries(from.checkpoints))
    spdlog::info("removed {}: left by a save that did not finish", name);
  if (!from.resume) return std::nullopt;
  NewestGood found = open_newest_good(from.checkpoints);
  for (const std::string& message : found.rejected)
    spdlog::warn("checkpoint rejected: {}", message);
  if (!found.checkpoint && !found.rejected.empty())
    throw CheckpointError(from.checkpoints.string() + ": no checkpoint there can be used (" +
                          found.rejected.front() +
                          "). To begin anew, use another run.name, or "
                          "run.resume = false, which sets this one's files aside");
  return std::move(found.checkpoint);
}

/// On rank 0: another run's checkpoint that this one is to begin with.
Checkpoint find_other(const StartingPoint& from, TrainingState& where) {
  Checkpoint other =
      open_checkpoint(parse_checkpoint_choice(from.start_from), from.checkpoints.parent_path());
  spdlog::info("a new run begins with the weights and statistics of {}",
               other.directory().string());
  if (const std::string change =
          class_change(input_facts_of(other.state().details), from.classes, from.class_names);
      !change.empty())
    spdlog::warn("run.start_from = {}: {}", from.start_from, change);
  where.details = nlohmann::ordered_json{{"started_from", other.directory().string()}}.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return other;
}

}  // namespace

TrainingState load_or_initialize(const StartingPoint& from, ModelState& state,
                                 const Communicator& group, const Communicator& replicas) {
  TrainingState where{.seed = from.seed};
  std::optional<Checkpoint> checkpoint;
  bool with_slots = false;  // another run's begin anew
  if (group.rank() == 0) {
    checkpoint = find_own(from);
    const bool own = checkpoint.has_value();
    if (!own && !from.start_from.empty()) checkpoint.emplace(find_other(from, where));
    if (checkpoint) check_tensors(*checkpoint, tensors_of(state));
    if (own) {
      where = checkpoint->state();
      with_slots = takes_slots(*checkpoint, state, from.slots_may_begin);
      if (!with_slots) where.slot_lag = where.step;
      spdlog::info("resuming from {}", checkpoint->directory().string());
      if (!from.start_from.empty())
        spdlog::info(
            "run.start_from = {} is of no use any more: the run has checkpoints of its own",
            from.start_from);
    }
  }
  where = share_training_state(std::move(where), 0, group);
  group.broadcast_value(with_slots, 0, "optimizer slots");
  if (group.all_reduce(std::int64_t{checkpoint.has_value()}, ReduceOp::kMax, "checkpoint found"))
    give_tensors(checkpoint ? &*checkpoint : nullptr, with_slots, state, group);
  else
    begin(state, from.seed, replicas);
  return where;
}

}  // namespace lockstep
