#include "coordinator/saver.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "data/error.h"

namespace lockstep {

namespace {

constexpr const char* kFailed = "failed: ";

/// A tensor of the state, as a checkpoint names it.
struct StateTensor {
  std::string name;
  std::vector<std::int64_t> dims;
  std::span<float> values;
};

/// Every tensor of a checkpoint, to be loaded into.
std::vector<StateTensor> tensors_of(ModelState& state) {
  std::vector<StateTensor> tensors;
  const Graph& graph = state.graph();
  for (std::size_t i = 0; i < graph.parameters().size(); ++i) {
    const Parameter& p = graph.parameters()[i];
    const auto id = static_cast<ParameterId>(i);
    tensors.push_back({"parameters/" + p.name, p.dims, state.parameter(id, state.parameters())});
    tensors.push_back({"momentum/" + p.name, p.dims, state.parameter(id, state.momentum())});
  }
  for (std::size_t i = 0; i < graph.statistics().size(); ++i)
    tensors.push_back({"statistics/" + graph.statistics()[i].name,
                       {graph.statistics()[i].channels}, state.statistic(static_cast<int>(i))});
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

Saver::Saver(std::filesystem::path checkpoints, ModelState& state, const Communicator& group,
             int first_writer, int keep_newest)
    : checkpoints_(std::move(checkpoints)), group_(group), first_writer_(first_writer),
      keep_newest_(keep_newest), tensors_(checkpoint_tensors(state)) {
  std::vector<std::int64_t> sizes;
  for (const TensorView& t : tensors_)
    sizes.push_back(static_cast<std::int64_t>(t.values.size_bytes()));
  const std::vector<int> writer_of = deal_tensors(sizes, group.size() - first_writer);
  std::size_t floats = 0;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    if (writer_of[i] != group.rank() - first_writer) continue;
    mine_.push_back(i);
    floats += tensors_[i].values.size();
  }
  writer_ = std::make_unique<CheckpointWriter>(floats);
}

std::size_t Saver::bytes() const {
  std::size_t total = 0;
  for (const TensorView& t : tensors_) total += t.values.size_bytes();
  return total;
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
    if (group_.rank() == 0) spdlog::error("checkpoint of step {} not saved: {}", where.step, failure);
    return false;
  }
  saving_ = where;
  if (group_.rank() < first_writer_) return true;
  std::vector<TensorView> views;
  std::span<float> space = writer_->snapshot();
  for (std::size_t i : mine_) {
    const TensorView& t = tensors_[i];
    std::ranges::copy(t.values, space.begin());
    views.push_back({t.name, t.dims, space.first(t.values.size())});
    space = space.subspan(t.values.size());
  }
  const std::filesystem::path directory =
      checkpoints_ / (".tmp-" + checkpoint_name(where.step));
  writer_->start_shard(directory, group_.rank() - first_writer_, std::move(views));
  return true;
}

bool Saver::publish(MetricsFile* metrics) {
  if (!saving_) return true;
  std::string failure;
  std::string report;
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
      if (metrics) metrics->sync();
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

TrainingState load_checkpoint(const Checkpoint& checkpoint, ModelState& state) {
  const std::vector<StateTensor> tensors = tensors_of(state);
  const std::string where = checkpoint.directory().string();
  if (checkpoint.names().size() != tensors.size())
    throw CheckpointError(where + ": holds " + std::to_string(checkpoint.names().size()) +
                          " tensors, the model has " + std::to_string(tensors.size()) +
                          "; it is of another model: use another run.name, or the job it was made with");
  for (const StateTensor& t : tensors) {
    if (!checkpoint.contains(t.name) || checkpoint.dims(t.name) != t.dims)
      throw CheckpointError(where + ": lacks " + t.name + " of the model's shape; it is of another model: "
                            "use another run.name, or the job it was made with");
    checkpoint.read(t.name, t.values);
  }
  return checkpoint.state();
}

TrainingState load_or_initialize(const std::filesystem::path& checkpoints, bool resume,
                                 std::uint64_t seed, ModelState& state,
                                 const Communicator& group) {
  TrainingState where{.seed = seed};
  if (group.rank() == 0) {
    for (const std::string& name : remove_stale_temporaries(checkpoints))
      spdlog::info("removed {}: left by a save that did not finish", name);
    NewestGood found;
    if (resume) found = open_newest_good(checkpoints);
    for (const std::string& message : found.rejected) spdlog::warn("checkpoint rejected: {}", message);
    if (!found.checkpoint && !found.rejected.empty())
      throw CheckpointError(checkpoints.string() + ": no checkpoint there can be used (" +
                            found.rejected.front() + "). To begin anew, use another run.name, or "
                            "run.resume = false, which sets this one's files aside");
    if (found.checkpoint) {
      where = load_checkpoint(*found.checkpoint, state);
      spdlog::info("resuming from {}", found.checkpoint->directory().string());
    } else {
      state.initialize(seed);
    }
  }
  struct Plain {
    std::int64_t step, epoch, cursor;
    std::uint64_t seed;
    double best_metric;
    std::int64_t best_step;
  } plain{where.step, where.epoch, where.cursor, where.seed, where.best_metric,
          where.best_step.value_or(-1)};
  group.broadcast_value(plain, 0, "training state");
  group.broadcast(where.details, 0, "training state");
  where.step = plain.step;
  where.epoch = plain.epoch;
  where.cursor = plain.cursor;
  where.seed = plain.seed;
  where.best_metric = plain.best_metric;
  where.best_step = plain.best_step < 0 ? std::nullopt : std::optional(plain.best_step);
  broadcast_segment(state.parameters(), group, "parameters");
  broadcast_segment(state.momentum(), group, "momentum");
  broadcast_segment(state.statistics(), group, "statistics");
  return where;
}

}  // namespace lockstep
