#pragma once
#include <vector>

#include "coordinator/plan/machine_model.h"
#include "coordinator/plan/recompute.h"
#include "coordinator/plan/recompute_solver.h"
#include "layers/call.h"

namespace lockstep {

/// Seconds that each value takes to be computed again from its op's inputs, for the images of one
/// rank's micro-batch; by value.
using ReplaySeconds = std::vector<double>;

/// From FLOPs and bytes alone.
ReplaySeconds estimate_replays(const Graph& graph, const Fusion& fusion, int images,
                               const MachineModel& machine = {});

/// A graph as the chain that RecomputeSolver knows: bytes and seconds of a rank's micro-batch. Neighbours
/// are taken together where there are many blocks, and options are cuts through the values in the
/// order of seconds a byte.
class RecomputeModel {
 public:
  RecomputeModel(const Graph& graph, const Fusion& fusion, Storage activations, int images,
                 ReplaySeconds seconds);

  const ChainCosts& costs() const { return costs_; }
  /// What backward reads if nothing is forgotten; solving makes sense below.
  std::size_t tape_bytes() const;

  /// The solver's answer for `slots` as what to keep and when to replay it.
  Recomputation recomputation(const RecomputeSolver& solver, int slots) const;

 private:
  struct Item {
    ValueId value;
    std::size_t bytes;
    double seconds;  // of replaying it, with what nobody keeps on the way there
    bool output;
  };
  double replay_cost(ValueId value) const;
  std::size_t bytes_of(ValueId value) const;
  bool keeps(const Item& item, int option) const;
  void find_items();
  void choose_cuts();
  void sum_up();
  std::size_t way_bytes(int first, int last, int option) const;

  struct Walk;
  void walk(Walk& walk, int first, int last, int slots, bool replaying) const;
  std::vector<ValueId> kept_of(int first, int last, int option) const;

  const Graph& graph_;
  const Fusion& fusion_;
  Chain chain_;
  Storage activations_;
  int images_;
  ReplaySeconds seconds_;
  int merge_ = 1;                         // blocks of the graph in one of the solver's
  std::vector<std::vector<Item>> items_;  // by block of the graph
  std::vector<double> cuts_;              // seconds a byte, by option
  ChainCosts costs_;
};

}  // namespace lockstep
