#include "coordinator/run_log.h"

#include <spdlog/spdlog.h>

namespace lockstep {

void RunLog::on_warning(WarningKind kind, const std::string& what) {
  const std::string said = kind == WarningKind::kOnce ? what : repeated_[kind].add(what);
  if (!said.empty()) spdlog::warn("{}", said);
}

void RunLog::on_rollback(std::int64_t from, std::int64_t to) {
  if (speaks_) spdlog::warn("rolled back from step {} to {}", from, to);
}

void RunLog::on_end() {
  for (const auto& [kind, warning] : repeated_)
    if (const std::string rest = warning.rest(); !rest.empty()) spdlog::warn("{}", rest);
}

}  // namespace lockstep
