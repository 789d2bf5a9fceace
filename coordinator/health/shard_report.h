#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lockstep {

/// Classes of what is trained on, and of each replica's part of the first epoch.
struct ShardReport {
  std::vector<std::int64_t> whole;                // samples of each class
  std::vector<std::vector<std::int64_t>> shards;  // by replica
  std::vector<double> skew;                       // by replica: data/validate.h's class_skew
  std::int64_t last_images = 0;                   // of an epoch's last step
};

/// Of the first `samples` of the data set. No communication: the order is a function of the seed.
ShardReport report_shards(const Dataset& train, std::int64_t samples, std::int64_t batch,
                          int replicas, std::uint64_t seed);

/// What is wrong, for people: classes that are not there at all (the first so many of a sorted data set, say), a
/// replica whose classes differ from the whole's by more than a tenth beyond chance, and replicas that have no image in
/// an epoch's last step.
std::vector<std::string> warnings(const ShardReport& report);

/// One line for the log.
std::string describe(const ShardReport& report);

}  // namespace lockstep
