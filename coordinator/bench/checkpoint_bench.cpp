#include "coordinator/bench/checkpoint_bench.h"

#include <algorithm>

#include "coordinator/saver.h"
#include "data/files.h"
#include "data/timing.h"

namespace lockstep {

namespace {

/// Which of the tensors rank `rank` writes.
std::vector<TensorView> dealt(std::vector<TensorView> tensors, int rank, int ranks) {
  std::vector<std::int64_t> sizes;
  for (const TensorView& t : tensors)
    sizes.push_back(static_cast<std::int64_t>(t.values.size_bytes()));
  const std::vector<int> writer_of = deal_tensors(sizes, ranks);
  std::vector<TensorView> mine;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    if (writer_of[i] == rank) mine.push_back(std::move(tensors[i]));
  return mine;
}

}  // namespace

CheckpointBench::CheckpointBench(const Graph& graph, const std::filesystem::path& parent,
                                 const Communicator& group)
    : group_(group), state_(graph, Sgd::rule()), directory_(parent, group) {
  state_.initialize(1);
  for (std::size_t s = 0; s < state_.optimizer().slots.size(); ++s)
    std::ranges::copy(state_.parameters(), state_.slot(s).begin());  // nothing that compresses
  for (const TensorView& t : checkpoint_tensors(state_)) bytes_ += t.values.size_bytes();
}

void CheckpointBench::save(CheckpointSeconds& s) {
  const TrainingState where{.step = ++step_};
  if (group_.rank() == 0) temporary_checkpoint_directory(directory_.path(), where.step);
  group_.barrier("bench checkpoint");

  double begin = seconds_now();
  std::vector<TensorView> mine = dealt(checkpoint_tensors(state_), group_.rank(), group_.size());
  std::size_t floats = 0;
  for (const TensorView& t : mine) floats += t.values.size();
  snapshot_.resize(floats);
  std::span<float> space(snapshot_);
  for (TensorView& t : mine) {
    std::ranges::copy(t.values, space.begin());
    t.values = space.first(t.values.size());
    space = space.subspan(t.values.size());
  }
  s.snapshot = seconds_now() - begin;

  ShardSeconds shard;
  const std::string report = write_shard(
      directory_.path() / (".tmp-" + checkpoint_name(where.step)), group_.rank(), mine, &shard);
  s.write = shard.write;
  s.sync = shard.sync;
  s.hash = shard.hash;
  const std::vector<std::string> reports = group_.gather(report, 0, "bench checkpoint");
  if (group_.rank() != 0) return;
  begin = seconds_now();
  const std::filesystem::path published = publish_checkpoint(directory_.path(), where, reports);
  const double there = seconds_now();
  s.publish = there - begin;
  Checkpoint::open(published);
  s.verify = seconds_now() - there;
  remove_tree(published);
}

void CheckpointBench::write_plain(CheckpointSeconds& s) {
  group_.barrier("bench file");
  const std::filesystem::path path = directory_.path() / ("plain-" + std::to_string(group_.rank()));
  const double begin = seconds_now();
  OpenFile file = OpenFile::for_writing(path);
  file.write(std::as_bytes(std::span(snapshot_)));
  const double written = seconds_now();
  file.sync();
  s.plain_write = written - begin;
  s.plain_sync = seconds_now() - written;
  file.close();
  remove_tree(path);
}

CheckpointSeconds CheckpointBench::run() {
  CheckpointSeconds s;
  save(s);
  write_plain(s);
  for (double* part : {&s.snapshot, &s.write, &s.sync, &s.hash, &s.publish, &s.verify,
                       &s.plain_write, &s.plain_sync})
    *part = group_.all_reduce(*part, ReduceOp::kMax, "bench checkpoint");
  return s;
}

}  // namespace lockstep
