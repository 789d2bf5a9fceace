#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/checkpoint.h"
#include "layers/optimizer.h"

namespace lockstep {

/// [optimizer] of a job file: SGD or AdamW as PyTorch defines them.
struct OptimizerOptions {
  OptimizerKind name = OptimizerKind::kSgd;
  double learning_rate = 0.1;
  double momentum = 0.9;  // sgd; likewise nesterov
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // adamw
  double weight_decay = 1e-4;                     // on conv and linear weights only
  double clip_norm = 0;                           // global gradient norm; 0: off
  double reference_batch = 0;  // linear scaling rule: lr *= batch / reference_batch; 0: off
};

/// [schedule] of a job file: the learning rate of every step.
struct ScheduleOptions {
  std::string policy = "step";  // step | cosine | one_cycle | plateau | constant
  double warmup_epochs = 0;     // linear from warmup_start * lr
  double warmup_start = 0.1;
  std::vector<double> milestones;  // step: epochs at which lr *= gamma
  double gamma = 0.1;              // plateau: likewise, where validations do not improve
  // cosine, one_cycle: lr at the end, as a part of lr; plateau: the lowest
  double final_fraction = 0;
  double peak_fraction = 0.3;           // one_cycle: where the peak lies
  double epochs = 0;                    // cosine, one_cycle: length of the curve; 0: the training's
  std::string plateau_metric = "loss";  // of validation: loss | accuracy (mean IoU of pixels)
  int patience = 5;                     // plateau: validations without improvement until lr falls
  double threshold = 1e-4;              // plateau: less than this part of the best is none
};

/// Learning rate at a (fractional) epoch. Pure: resuming gives the same rates. `falls`: plateau's.
double learning_rate_at(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                        double epoch, double epochs, std::int64_t global_batch,
                        std::int64_t falls = 0);

/// Counts the validation after `step`, whose metric is `value`; true: the rate falls now. As PyTorch's
/// ReduceLROnPlateau, except that the rate falls after `patience` validations and not after one more. One of a
/// step that is counted already (done anew after a rank was lost) changes nothing. Pure.
bool count_validation(const ScheduleOptions& schedule, std::int64_t step, double value,
                      PlateauState& plateau);

/// Where training is on the curve of the learning rate, in epochs.
struct CurvePlace {
  double epoch = 0;      // may be a fraction
  double last_step = 0;  // the last step of an epoch begins so much before its end
  double train_epochs = 0;
  std::int64_t falls = 0;  // plateau
};

/// learning_rate_at, with schedule.epochs: after the curve's end the rate of its last step is kept.
double scheduled_rate(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                      const CurvePlace& place, std::int64_t global_batch);

/// A sentence where the rate is scaled linearly to a batch above 8192, up to which that was seen to keep the accuracy
/// (Goyal et al. 2017, arXiv:1706.02677, figure 1); else "".
std::string large_batch_warning(const OptimizerOptions& optimizer, std::int64_t global_batch);

/// A sentence where the rate is one for SGD and the optimizer is another; else "".
std::string optimizer_rate_warning(const OptimizerOptions& optimizer);

/// A sentence where the rate jumps since the length of the training was another one; else "".
/// `curve_before`: epochs that the curve had.
std::string rate_jump(const OptimizerOptions& optimizer, const ScheduleOptions& schedule,
                      double curve_before, const CurvePlace& place, std::int64_t global_batch);

}  // namespace lockstep
