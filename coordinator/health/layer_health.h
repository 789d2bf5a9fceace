#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "coordinator/health/gradient_reach.h"
#include "coordinator/job.h"
#include "worker/memory.h"

namespace lockstep {

/// What a look at all layers finds, by the layer's name.
enum class LayerTrouble { kVanishing, kDead, kStale };

struct LayerFinding {
  LayerTrouble trouble;
  std::string layer;
  std::string what;  // for people, the layer included
};

/// Looks at the layers of a rank after a step, at the gradients and statistics that it has left: two passes over
/// the gradients and the weights, no communication.
///
/// What the step's gradient does not reach (gradient_reach.h) is not judged by it, and layers behind a gate that is
/// learned are not where their gradient is exactly 0: all images skipped them.
///   vanishing  |gradient| / |weights| of a convolution or linear layer is below vanishing_ratio times
///              the median of all layers
///   dead       channels of a norm whose gamma and beta have gradients of exactly zero, now and at the
///              last look: none of a step's images came through the ReLU behind it
///   stale      batch norm's running statistics are far from those of the step's images, which are what
///              the step has moved them by, over momentum; the mean over channels
class LayerHealth {
 public:
  LayerHealth(ModelState& state, const HealthOptions& options, int micro_batches);

  /// Before the step that the next look is at: what its gradient will reach.
  void prepare(const StepDraws& draws);

  /// `statistics_before`: as they were before the step; empty: not looked at.
  /// `step`: of the training, from 1; statistics are judged when a twentieth of their start is left in them.
  std::vector<LayerFinding> look(std::span<const float> statistics_before, std::int64_t step);

 private:
  void find_vanishing(std::vector<LayerFinding>& findings) const;
  void find_dead(std::vector<LayerFinding>& findings);
  void find_stale(std::span<const float> before, std::int64_t step,
                  std::vector<LayerFinding>& findings) const;

  bool closed(const Op& op) const;
  bool reached(std::size_t op) const { return reached_.empty() || reached_[op]; }

  ModelState& state_;
  HealthOptions options_;
  int micro_batches_;
  std::vector<std::vector<OpId>> gates_;      // by op: gates_behind()
  std::vector<bool> decided_;                 // by op: behind_decisions()
  std::vector<bool> reached_;                 // by op; empty: all
  std::map<OpId, std::vector<bool>> silent_;  // by norm, channels without gradient at the last look
};

/// A warning if batch norm takes its statistics of few values; empty: enough. `images` are of a
/// micro-batch: of all replicas with SyncBN, else of one.
std::string small_batch_warning(const Graph& graph, std::int64_t images, bool sync_bn);

}  // namespace lockstep
