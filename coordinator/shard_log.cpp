#include "coordinator/shard_log.h"

#include <spdlog/spdlog.h>

#include "coordinator/health/shard_report.h"
#include "data/validate.h"

namespace lockstep {

namespace {

void log_classes(const Job& job, const JobData& data, std::span<const std::int64_t> of_training) {
  const BalanceLimits limits{.max_share = job.data.max_class_share,
                             .max_ratio = job.data.max_class_ratio};
  if (const std::string uneven = uneven_classes(of_training, data.class_names, limits);
      !uneven.empty())
    spdlog::warn("training: {}", uneven);
  if (data.val_samples == 0) return;
  std::vector<std::int64_t> of_validation(of_training.size());
  for (std::int64_t i = 0; i < data.val_samples; ++i)
    if (const auto label = static_cast<std::size_t>(data.val_set().label(i));
        label < of_validation.size())
      ++of_validation[label];
  for (const std::string& warning : class_warnings(of_validation, data.class_names, limits))
    spdlog::warn("validation: {}", warning);
}

}  // namespace

void log_shards(const Job& job, const JobData& data, int replicas) {
  if (data.train_set().info().masks) return;
  const ShardReport report =
      report_shards(data.train_set(), data.train_samples, job.train.batch, replicas, job.run.seed);
  spdlog::info("{}", describe(report));
  for (const std::string& warning : warnings(report)) spdlog::warn("{}", warning);
  log_classes(job, data, report.whole);
}

}  // namespace lockstep
