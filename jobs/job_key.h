#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/job.h"

namespace lockstep {

/// One key of a job file: how it is named, what it means, and how it is read and written.
struct JobKey {
  std::string name;   // "train.batch": section and key are the names of the field in Job
  std::string help;   // one line for --help-job
  std::string valid;  // what a value must be: "an integer, at least 1"
  std::function<std::string(const Job&)> get;
  std::function<bool(Job&, std::string_view)> set;  // false: the text is not valid; Job unchanged
  std::vector<std::string> words = {};              // the only values; empty: others are possible
  bool is_path = false;                            // ~ and $VARIABLES are expanded before it is set
  std::optional<OptimizerKind> of_optimizer = {};  // means nothing to the others

  /// Whether it means something in this job.
  bool counts_in(const Job& job) const {
    return !of_optimizer || *of_optimizer == job.optimizer.name;
  }
};

/// Every key, section by section, in the order in which they are shown. The only list of them.
const std::vector<JobKey>& job_keys();

/// The key of that name, or nullptr.
const JobKey* find_job_key(std::string_view name);

/// The name of the key that is most like `name`; a key of that name in another section comes first.
std::string nearest_job_key(std::string_view name);

}  // namespace lockstep
