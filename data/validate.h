#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace lockstep {

/// From where on classes count as uneven.
struct BalanceLimits {
  double max_share = 0.7;  // of the samples, in one class
  double max_ratio = 10;   // samples of the largest class by those of the smallest that has any
};

struct ValidateOptions {
  bool read = true;     // read every sample: finds files that are gone, duplicates and leakage
  bool decode = false;  // decode every sample too: finds damage, and gives mean and std
  int threads = 1;
  int examples = 3;             // samples named per kind of finding
  std::int64_t max_leaked = 0;  // validation samples that may occur in training
  BalanceLimits balance = {};
};

struct SplitReport {
  std::int64_t samples = 0;
  std::vector<std::int64_t> class_counts;  // [classes], of labels in range
  std::int64_t bad_labels = 0;             // outside [0, classes)
  std::int64_t unreadable = 0;
  std::int64_t duplicates = 0;   // samples whose bytes an earlier sample of the split has
  std::int64_t conflicting = 0;  // of these, with another label than the first
  // With `decode`: of all pixels, scaled to [0,1], per channel (grey counts for all three if any
  // has colour).
  std::vector<double> mean;
  std::vector<double> std;
};

/// What validate() found. Errors make the dataset unusable; warnings are for the user to judge.
struct DatasetReport {
  SplitReport train;
  SplitReport val;          // all zero without validation
  std::int64_t leaked = 0;  // validation samples whose bytes occur in training
  std::vector<std::string> errors;
  std::vector<std::string> warnings;

  bool good() const { return errors.empty(); }
};

/// Checks both splits, and one against the other (`val` may be null). What it finds it reports,
/// with where it is, and does not throw. Duplicates are found by hash and confirmed byte by byte.
/// The result depends on the data only, not on threads.
DatasetReport validate(const Dataset& train, const Dataset* val, const ValidateOptions& options);

/// What is wrong with the numbers of samples in the classes of a split, for people: classes without any, and uneven
/// ones. `names`: of the classes; may be empty.
std::vector<std::string> class_warnings(std::span<const std::int64_t> counts,
                                        std::span<const std::string> names,
                                        const BalanceLimits& limits);
/// The second of these alone; empty: they are even enough.
std::string uneven_classes(std::span<const std::int64_t> counts, std::span<const std::string> names,
                           const BalanceLimits& limits);

/// How far a shard's classes are from the whole's: the part of the shard, 0 to 1, that would have
/// to be of another class to match (total variation distance). 0 for an empty shard.
double class_skew(std::span<const std::int64_t> shard_counts,
                  std::span<const std::int64_t> whole_counts);

}  // namespace lockstep
