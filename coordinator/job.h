#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/model.h"
#include "worker/optimizer.h"

namespace lockstep {

/// [run]
struct RunOptions {
  std::string name = "run";        // runs/NAME
  std::string directory = "runs";  // where run directories live
  std::uint64_t seed = 1;
  bool resume = true;       // from the newest good checkpoint, if there is one
  std::string start_from;   // a new run's weights: RUN, RUN:best, RUN:STEP or a checkpoint
  double log_every_s = 10;  // a line in a batch log; a terminal has a progress line
};

/// [data]
struct DataOptions {
  // idx | cifar10 | cifar100 | folder | masks | packed | synthetic[_masks]
  std::string source = "synthetic";
  std::string path;
  std::string distribute = "shared";  // shared: every rank reads; scatter: rank 0 reads and sends
  int threads = 1;                    // loader threads a rank
  int prefetch = 3;                   // batches kept ahead
  std::int64_t train_samples = 0;     // 0: all; else the first so many
  std::int64_t val_samples = 0;
  int classes = 0;               // masks: 0: as many as the training masks have
  int ignore_label = -1;         // masks: of pixels without a class; -1: none
  double max_class_share = 0.7;  // of the samples in one class; above it a warning
  double max_class_ratio = 10;   // samples of the largest class by those of the smallest; likewise
  int synthetic_samples = 1024, synthetic_classes = 10;
  int channels = 0, height = 0, width = 0;  // network input; 0: as the data set's
  std::string on_changed = "stop";          // a run goes on, on other data than before: stop | warn
};

/// [augment]; padding and flips for CIFAR, random resized crops for photographs.
struct AugmentJobOptions {
  int pad = 0;
  bool flip = false;
  int cutout = 0;
  bool random_resized_crop = false;
  double min_scale = 0.08;
  int resize = 0;                // shorter side before the centre crop of validation
  std::vector<float> mean, std;  // of pixels in [0,1], one per channel; empty: those of the source
};

/// [train]
struct TrainOptions {
  double epochs = 10;
  std::int64_t max_steps = 0;  // 0: epochs decide
  int batch = 128;             // global
  int micro_batches = 1;       // gradient accumulation: each rank's part in so many pieces
  bool sync_bn = true;
  std::string precision = "f32";  // of activations: f32 | bf16 | auto (bf16 with AMX)
  bool winograd = true;           // f32: 3x3 convolutions where it suits; false: all by oneDNN
  int validate_every = 1;         // epochs; 0: never
  int early_stopping = 0;         // validations without improvement; 0: off
  int hash_every = 100;           // steps between comparisons of parameters across ranks; 0: never
};

/// [parallel]
struct ParallelOptions {
  int threads = 0;                     // lanes a rank; 0: the cores that the rank may use
  std::string coordinator = "worker";  // worker: rank 0 works too; dedicated: it only coordinates
  std::string all_reduce = "auto";     // auto | ring | mpi
  std::string all_reduce_table;        // file of lockstep bench allreduce --table; empty: none
  std::string wire = "f32";            // f32 | bf16: gradients in messages
  int bucket_kib = 4096;               // gradients reduced together
  int stages = 1;                      // ranks that share one replica of the model
  std::string schedule = "1f1b";       // of stages: gpipe | 1f1b | interleaved:V | zero-bubble
  bool fold = false;                   // two chunks a stage: an encoder's with its decoder's
  // blocks at which chunks begin, besides the first; empty: the best
  std::vector<std::string> cuts;
  std::string on_rank_lost = "stop";  // stop | shrink: the others go on without it (ULFM)
  int spares = 0;                     // of the ranks started: wait to take a lost one's place
  bool probe = true;                  // cut by measured times; false: by FLOPs and bytes
};

/// [memory]
struct MemoryOptions {
  std::string recompute = "none";  // none | every:K | sqrt | auto
  // of a rank; 0: what the ranks of a machine need must fit it together
  std::int64_t budget_mib = 0;
  std::string on_overcommit = "stop";  // they do not, without a budget: stop | warn
};

/// [checkpoint]
struct CheckpointOptions {
  std::int64_t every_steps = 0;  // 0: at the end of every epoch
  double every_minutes = 10;     // of wall clock since the last one, besides; 0: off
  // of the whole job; > 0: as often as costs the least time (Young, Daly)
  double mean_time_to_failure_s = 0;
  int keep = 3;  // newest verified; the best is kept besides
  // the job says another model or input than one that is loaded, or another optimizer where it resumes: stop | warn
  std::string on_changed = "stop";
};

/// [watchdog]; seconds after which training counts as hung.
struct WatchdogOptions {
  bool enabled = true;
  double network_s = 30;      // for the first messages between all ranks; 0: not looked at
  double start_s = 600;       // until the first step
  double step_s = 0;          // 0: 20 times the longest lately, at least 60
  double collective_s = 0;    // waiting for other ranks in one, during a step; 0: as the step
  double checkpoint_s = 900;  // waiting for a save
};

/// [health]: what to do about numbers that go wrong.
struct HealthOptions {
  std::string on_nan = "stop";     // loss or gradient is no number: stop | rollback | skip | ignore
  std::string on_spike = "warn";   // of the gradient's norm: the same, or warn
  double spike_factor = 10;        // times the median of the last 64 steps
  int most_rollbacks = 2;          // because of the same step; then stop
  int most_skips = 10;             // one after the other; then stop
  std::int64_t every_steps = 100;  // between looks at all layers; 0: never
  // of a layer's gradient: stop | warn | ignore; likewise the next
  std::string on_vanishing = "warn";
  double vanishing_ratio = 1e-6;      // gradient / weights, beside the median of all layers
  std::string on_dead = "warn";       // channels that pass no gradient on: dead ReLUs
  double dead_fraction = 0.1;         // of a layer's channels
  std::string on_stale_bn = "warn";   // running statistics far from the batch's
  double stale_distance = 1;          // in standard deviations, or factors of 4 of the variance
  std::string on_straggler = "warn";  // a rank that the others wait for all the time: warn | ignore
  double straggler_share = 0.1;       // of the time, waited for one rank
};

/// One job file, with every default filled in.
struct Job {
  RunOptions run;
  DataOptions data;
  AugmentJobOptions augment;
  ModelOptions model;
  TrainOptions train;
  OptimizerOptions optimizer;
  ScheduleOptions schedule;
  ParallelOptions parallel;
  MemoryOptions memory;
  CheckpointOptions checkpoint;
  WatchdogOptions watchdog;
  HealthOptions health;
};

}  // namespace lockstep
