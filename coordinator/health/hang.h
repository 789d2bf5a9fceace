#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/collective_log.h"

namespace lockstep {

/// A collective or message of a rank that reports; times are seconds before the report.
struct HangOperation {
  std::string group, kind, name;
  std::uint64_t sequence = 0;  // of collectives: equal on all ranks of the group; messages: 0
  std::int64_t bytes = 0;
  int peer = -1;  // of messages
  double entered_s = 0;
  double left_s = -1;  // -1: it is in it still

  bool under_way() const { return left_s < 0; }
};

/// What a rank was doing when a watchdog raised the alarm: rank-00002.json of the hang's directory.
struct HangReport {
  int rank = 0;
  std::string host;
  std::int64_t process = 0;
  std::string activity;  // "step", "checkpoint", ...
  std::int64_t step = 0;
  double activity_s = 0;                  // since it began
  std::vector<HangOperation> operations;  // the last 256, the newest last
};

std::vector<HangOperation> operations_of(const CollectiveLog& log);

std::string to_json(const HangReport& report);
/// @throws DataError if this is not a report.
HangReport parse_hang_report(const std::string& text);

/// Which rank is to blame, and for which operation, in one sentence; from the reports of those of
/// `ranks` that could write one. In this order:
///   - a rank without a report: it is stopped, dead, or cut off from the file system;
///   - a rank that has not entered a collective in which others wait, and does not wait itself;
///   - ranks that wait in different collectives: they have gone different ways;
///   - all wait in the same one: the network or MPI;
///   - nobody waits: the rank that has been at its activity for the longest time.
std::string blame(std::span<const HangReport> reports, int ranks);

}  // namespace lockstep
