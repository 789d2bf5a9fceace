#pragma once
#include <vector>

#include "coordinator/plan/pipeline.h"

namespace lockstep {

/// How long the parts of a chunk take for one micro-batch, in seconds or in any unit.
struct PartTimes {
  double forward = 1;
  double backward_data = 1;
  double backward_weights = 1;

  double of(PartKind kind) const;
  double backward() const { return backward_data + backward_weights; }
  PartTimes& operator+=(const PartTimes& other);
};

struct PipelineTimes {
  std::vector<PartTimes> chunks;
  std::vector<double> transfer;  // from chunk c to chunk c+1 where they are on different stages,
                                 // and back; may be empty
};

/// When the parts of a step can begin: a forward after that of the chunk before, a backward after
/// that of the chunk behind, and after its own forward.
class PartClock {
 public:
  PartClock(const Pipeline& pipeline, const PipelineTimes& times);

  /// When its inputs are there; infinity while what makes them has no time yet.
  double ready(const Part& part) const;
  double seconds(const Part& part) const;
  /// The part ran from `begin` on.
  void run(const Part& part, double begin);
  double end() const { return end_; }

 private:
  enum Row { kForwardRow, kBackwardRow };
  double& finish(Row row, int chunk, int micro_batch);
  double finish(Row row, int chunk, int micro_batch) const;
  double arrival(Row row, int from, int to, int micro_batch) const;

  const Pipeline& pipeline_;
  const PipelineTimes& times_;
  std::vector<double> finish_;
  double end_ = 0;
};

/// What a step of a pipeline is expected to take, without what comes after the last backward.
struct PipelineForecast {
  double seconds = 0;
  std::vector<double> busy;  // by stage
  /// Part of the stages' time in which they wait, 0 to 1.
  double bubble() const;
};

/// Runs the stages' lists on a clock. @throws InternalError if they wait for each other.
PipelineForecast forecast(const Pipeline& pipeline, const PipelineTimes& times);

/// The bubble if all parts took equally long and messages no time: what the order alone costs.
double ideal_bubble(const Pipeline& pipeline);

/// The most micro-batches whose forward is done and whose backward is not, by chunk; and, by stage,
/// of all its chunks together.
std::vector<int> most_in_flight(const Pipeline& pipeline);
std::vector<int> most_held(const Pipeline& pipeline);

}  // namespace lockstep
