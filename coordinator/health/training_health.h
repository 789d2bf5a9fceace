#pragma once
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "coordinator/health/health.h"
#include "coordinator/health/layer_health.h"

namespace lockstep {

/// The health of a training on one rank: its steps, and now and then its layers. No communication.
class TrainingHealth {
 public:
  /// `state`: null on a rank that computes nothing. `keeps`: a step that others do not end may be undone.
  TrainingHealth(const HealthOptions& options, ModelState* state, int micro_batches,
                 bool keeps = false);

  double norm_limit() const { return steps_.norm_limit(); }
  /// What went before, after a start or a roll-back.
  void resume(std::span<const PastStep> past);

  /// Around each step; `step`: counted with this one. A step that is skipped has left nothing behind after it.
  void before_step(std::int64_t step, const StepDraws& draws);
  HealthVerdict after_step(const StepMetrics& step);
  /// Instead of after_step(), for a step that was left before its update: takes back what it has changed.
  void undo_step();

  /// Looks at the layers after a well step, where one is due. Warns of what is new, each layer's trouble once and
  /// those of a kind together, and returns what the
  /// training has to stop for; empty: nothing.
  std::string look(std::int64_t step);

  /// Which gradients are not finite, for people; empty: none of this rank's.
  std::string sick_gradients() const;

 private:
  bool look_due(std::int64_t step) const {
    return layers_ && options_.every_steps > 0 && step % options_.every_steps == 0;
  }
  const std::string& wish(LayerTrouble trouble) const;

  HealthOptions options_;
  ModelState* state_;
  bool keeps_;
  StepHealth steps_;
  std::optional<LayerHealth> layers_;
  std::vector<float> statistics_before_;                 // as a step found them
  bool kept_ = false;                                    // this step's
  std::set<std::pair<LayerTrouble, std::string>> told_;  // layers that have been warned of: once
};

}  // namespace lockstep
