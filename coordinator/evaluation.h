#pragma once
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "coordinator/job_data.h"
#include "coordinator/metrics.h"
#include "coordinator/plan/batches.h"

namespace lockstep {

/// Loss, accuracy and (of pixels) mean IoU over the first `samples` of `dataset`, shared among the
/// replicas, the ranks of `group`; every sample counts once. All ranks get the same figures. `dataset` is null
/// on later stages, whose images the first one loads. Throws what the loader throws.
ValidationMetrics evaluate(Engine& engine, const Dataset* dataset, std::int64_t samples,
                           const AugmentOptions& augment, int loader_threads,
                           const Communicator& group);

/// The batches of training data, in the order of epoch 0, that reestimate_statistics() runs: at most
/// `batches`, each as large as the ranks of a group can hold.
std::vector<Positions> reestimation_batches(const Engine& engine, std::int64_t samples, int batches,
                                            int ranks);

/// What batch norm's running statistics are worth on the first batches of `dataset`: a sentence, if the loss is half
/// as large again by them as by the statistics of those images; else "". Statistics stay. Collective.
std::string stale_statistics(Engine& engine, const Dataset& dataset, std::int64_t samples,
                             const AugmentOptions& augment, int loader_threads,
                             const Communicator& group);

/// Adaptive batch norm (Li et al. 2016, arXiv:1603.04779): runs `batches` batches of training data
/// forward and sets the running statistics to the average of their statistics. Weights stay.
void reestimate_statistics(Engine& engine, const Dataset& dataset, std::int64_t samples,
                           const AugmentOptions& augment, int loader_threads, int batches,
                           std::uint64_t seed, const Communicator& group);

}  // namespace lockstep
