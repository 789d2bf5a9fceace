#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// [optimizer] of a job file: SGD as PyTorch defines it.
struct OptimizerOptions {
  double learning_rate = 0.1;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 1e-4;        // on conv and linear weights only
  double clip_norm = 0;              // global gradient norm; 0: off
  double reference_batch = 0;        // linear scaling rule: lr *= batch / reference_batch; 0: off
};

/// [schedule] of a job file: the learning rate of every step.
struct ScheduleOptions {
  std::string policy = "step";           // step | cosine | one_cycle | constant
  double warmup_epochs = 0;              // linear from warmup_start * lr
  double warmup_start = 0.1;
  std::vector<double> milestones;        // step: epochs at which lr *= gamma
  double gamma = 0.1;
  double final_fraction = 0;             // cosine, one_cycle: lr at the end, as a part of lr
  double peak_fraction = 0.3;            // one_cycle: where the peak lies
};

/// Learning rate at a (fractional) epoch. Pure: resuming gives the same rates.
double learning_rate_at(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                        double epoch, double epochs, std::int64_t global_batch);

}  // namespace lockstep
