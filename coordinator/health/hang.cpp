#include "coordinator/health/hang.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "data/error.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

std::string rank_name(int rank) { return "rank " + std::to_string(rank); }

std::string list(const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  for (std::size_t i = 0; i < ranks.size(); ++i)
    text += (i == 0 ? "" : i + 1 == ranks.size() ? " and " : ", ") + std::to_string(ranks[i]);
  return text;
}

std::string describe(const HangOperation& op) {
  return op.group + (op.sequence > 0 ? " #" + std::to_string(op.sequence) : "") + " " + op.kind +
         " \"" + op.name + "\" (" + std::to_string(op.bytes) + " bytes" +
         (op.peer >= 0 ? ", peer rank " + std::to_string(op.peer) : "") + ")";
}

std::string place(const HangReport& report) {
  return rank_name(report.rank) + " (process " + std::to_string(report.process) + " on " +
         report.host + "; activity: " + report.activity +
         ", steps done: " + std::to_string(report.step) + ")";
}

/// The oldest operation that the rank has not left: what it waits in.
const HangOperation* waits_in(const HangReport& report) {
  const auto found = std::find_if(report.operations.begin(), report.operations.end(),
                                  [](const HangOperation& op) { return op.under_way(); });
  return found == report.operations.end() ? nullptr : &*found;
}

/// The newest collective of the group that the rank has entered; 0: none.
std::uint64_t newest_of(const HangReport& report, const std::string& group) {
  std::uint64_t newest = 0;
  for (const HangOperation& op : report.operations)
    if (op.group == group) newest = std::max(newest, op.sequence);
  return newest;
}

const HangReport* first_waiting(std::span<const HangReport> reports) {
  for (const HangReport& report : reports)
    if (waits_in(report)) return &report;
  return nullptr;
}

std::string blame_silent(std::span<const HangReport> reports, const std::vector<int>& silent) {
  std::string text = list(silent) + (silent.size() == 1 ? " does" : " do") +
                     " not answer: stopped, dead, or cut off from the run's directory";
  if (const HangReport* waiting = first_waiting(reports))
    text += "; " + rank_name(waiting->rank) + " waits in " + describe(*waits_in(*waiting));
  return text;
}

/// Those that are in none, while another waits in a collective that they have not entered.
std::optional<std::string> blame_absent(std::span<const HangReport> reports) {
  for (const HangReport& waiting : reports) {
    const HangOperation* op = waits_in(waiting);
    if (!op || op->sequence == 0) continue;
    for (const HangReport& other : reports)
      if (!waits_in(other) && newest_of(other, op->group) > 0 &&
          newest_of(other, op->group) < op->sequence)
        return place(other) + " has not entered " + describe(*op) + ", in which " +
               rank_name(waiting.rank) + " waits";
  }
  return std::nullopt;
}

std::string blame_waiting(std::span<const HangReport> reports) {
  const HangReport& first = *first_waiting(reports);
  const HangOperation& op = *waits_in(first);
  const auto outside = std::find_if(reports.begin(), reports.end(),
                                    [](const HangReport& report) { return !waits_in(report); });
  if (outside != reports.end())
    return place(*outside) + " is in no operation, while " + rank_name(first.rank) + " waits in " +
           describe(op);
  for (const HangReport& other : reports) {
    const HangOperation* its = waits_in(other);
    if (its && (its->group != op.group || its->sequence != op.sequence || its->kind != op.kind ||
                its->name != op.name))
      return rank_name(first.rank) + " waits in " + describe(op) + ", " + rank_name(other.rank) +
             " in " + describe(*its) + ": they have gone different ways";
  }
  return "all ranks are in " + describe(op) + ": the network or MPI does not bring it to an end";
}

}  // namespace

std::vector<HangOperation> operations_of(const CollectiveLog& log) {
  std::vector<HangOperation> operations;
  const std::int64_t now = CollectiveLog::now_ns();
  const auto ago = [&](std::int64_t then) { return static_cast<double>(now - then) * 1e-9; };
  for (const CollectiveRecord& r : log.snapshot()) {
    const bool message = r.kind == CollectiveKind::kSend || r.kind == CollectiveKind::kRecv;
    operations.push_back({.group = r.group.data(),
                          .kind = to_string(r.kind),
                          .name = r.name.data(),
                          .sequence = message ? 0 : r.sequence,
                          .bytes = r.bytes,
                          .peer = r.peer,
                          .entered_s = ago(r.begin_ns),
                          .left_s = r.under_way() ? -1 : std::max(0.0, ago(r.end_ns))});
  }
  return operations;
}

std::string to_json(const HangReport& report) {
  Json json;
  json["rank"] = report.rank;
  json["host"] = report.host;
  json["process"] = report.process;
  json["activity"] = report.activity;
  json["step"] = report.step;
  json["activity_s"] = report.activity_s;
  Json& operations = json["operations"] = Json::array();
  for (const HangOperation& op : report.operations) {
    Json line;
    line["group"] = op.group;
    line["sequence"] = op.sequence;
    line["kind"] = op.kind;
    line["name"] = op.name;
    line["bytes"] = op.bytes;
    if (op.peer >= 0) line["peer"] = op.peer;
    line["entered_s_ago"] = op.entered_s;
    line["left_s_ago"] = op.under_way() ? Json() : Json(op.left_s);
    operations.push_back(std::move(line));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

HangReport parse_hang_report(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    HangReport report{.rank = json.at("rank"),
                      .host = json.at("host"),
                      .process = json.at("process"),
                      .activity = json.at("activity"),
                      .step = json.at("step"),
                      .activity_s = json.at("activity_s")};
    for (const Json& op : json.at("operations"))
      report.operations.push_back(
          {.group = op.at("group"),
           .kind = op.at("kind"),
           .name = op.at("name"),
           .sequence = op.at("sequence"),
           .bytes = op.at("bytes"),
           .peer = op.value("peer", -1),
           .entered_s = op.at("entered_s_ago"),
           .left_s = op.at("left_s_ago").is_null() ? -1.0 : op.at("left_s_ago").get<double>()});
    return report;
  } catch (const Json::exception& e) {
    throw DataError(std::string("not a report of a hang: ") + e.what());
  }
}

std::string blame(std::span<const HangReport> reports, int ranks) {
  std::set<int> there;
  for (const HangReport& report : reports) there.insert(report.rank);
  std::vector<int> silent;
  for (int rank = 0; rank < ranks; ++rank)
    if (!there.contains(rank)) silent.push_back(rank);
  if (!silent.empty()) return blame_silent(reports, silent);
  if (const auto absent = blame_absent(reports)) return *absent;
  if (first_waiting(reports)) return blame_waiting(reports);
  const auto longest = std::max_element(
      reports.begin(), reports.end(),
      [](const HangReport& a, const HangReport& b) { return a.activity_s < b.activity_s; });
  return place(*longest) +
         " is in no operation with other ranks: its own computing or its file system hangs";
}

}  // namespace lockstep
