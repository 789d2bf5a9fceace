#pragma once
#include <map>

#include "coordinator/health/repeated_warning.h"
#include "coordinator/run_observer.h"

namespace lockstep {

/// Says warnings of a run in the log: those that come again when their number has doubled, and the rest at the
/// end.
class RunLog : public RunObserver {
 public:
  /// `speaks`: for all ranks, of what all of them do.
  explicit RunLog(bool speaks) : speaks_(speaks) {}

  void on_warning(WarningKind kind, const std::string& what) override;
  void on_rollback(std::int64_t from, std::int64_t to) override;
  void on_end() override;

 private:
  bool speaks_;
  std::map<WarningKind, RepeatedWarning> repeated_;
};

}  // namespace lockstep
