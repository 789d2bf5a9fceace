#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/job_data.h"
#include "coordinator/rank_place.h"
#include "coordinator/run_forecast.h"

namespace lockstep {

/// The model on one rank: the engine of a rank that trains, or the state alone, for checkpoints, of one that only
/// coordinates.
class RankModel {
 public:
  /// Builds the model, plans it and takes its memory, as all ranks together decide; tells the data in which layout it
  /// wants pictures. Collective. What is given must outlive it. @throws ConfigError, ShapeError.
  RankModel(const Job& job, JobData& data, const RankPlace& place,
            const std::filesystem::path& run_directory);

  ModelState& state() { return engine_ ? engine_->state() : *idle_state_; }
  Engine& engine() { return *engine_; }  // of a rank that works
  const std::optional<Expected>& expected() const { return expected_; }

  int lanes() const { return lanes_; }
  Storage activations() const { return activations_; }
  const std::string& all_reduce_table() const { return all_reduce_table_; }
  std::vector<int> stage_of_ops() const;  // by op; empty: there are no stages

  /// Gives the first replica's running statistics to all: without SyncBN each has its own, and the first one's are the
  /// run's. Collective among those that work.
  void share_statistics();
  /// Ranks that hold the same have the same plan. Collective among replicas. @throws ConfigError.
  void compare_plans();

 private:
  RankOptions make_options(const JobData& data, const Graph& graph,
                           const std::filesystem::path& run_directory);
  void make_engine(Graph graph, const RankOptions& options);

  const Job& job_;
  const RankPlace& place_;
  int lanes_ = 1;
  Storage activations_ = Storage::kF32;
  std::string all_reduce_table_;      // the text of the file; empty: none
  std::unique_ptr<Engine> engine_;    // of a rank that works
  Pipeline pipeline_;                 // staged
  std::optional<Expected> expected_;  // works
  std::unique_ptr<Graph> graph_;      // of a rank that only coordinates
  std::unique_ptr<ModelState> idle_state_;
};

}  // namespace lockstep
