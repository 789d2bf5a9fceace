#include "coordinator/plan/message_check.h"

#include <map>
#include <tuple>

#include "coordinator/plan/index.h"
#include "data/error.h"

namespace lockstep {

namespace {

using Kind = StageAction::Kind;
using Stages = std::vector<std::vector<StageAction>>;

/// A start of a message: stage and position in its list.
struct Place {
  int stage = 0, position = 0;
};

class MessageCheck {
 public:
  explicit MessageCheck(const Stages& stages)
      : stages_(stages), twins_(stages.size()), next_(stages.size(), 0) {}

  void run() {
    find_twins();
    find_unfinished();
    for (bool moved = true; moved;) {
      moved = false;
      for (int s = 0; s < size(); ++s)
        for (; !done(s) && !waits(s); ++next_[at(s)]) moved = true;
    }
    for (int s = 0; s < size(); ++s)
      if (!done(s)) report_cycle(s);
  }

 private:
  int size() const { return static_cast<int>(stages_.size()); }
  const StageAction& action(const Place& p) const { return stages_[at(p.stage)][at(p.position)]; }
  bool done(int stage) const {
    return next_[at(stage)] == static_cast<int>(stages_[at(stage)].size());
  }

  std::string describe(const Place& p) const {
    const StageAction& a = action(p);
    const bool sends = a.kind == Kind::kStartSend;
    return "stage " + std::to_string(p.stage) + (sends ? " sends '" : " receives '") + a.name +
           "' (" + std::to_string(a.bytes) + " bytes) " + (sends ? "to" : "from") + " stage " +
           std::to_string(a.peer);
  }
  [[noreturn]] static void fail(const std::string& what) {
    throw InternalError("the plan of the stages is wrong: " + what);
  }

  /// The nth message of a tag that one stage starts to send is the nth that the other starts to
  /// receive.
  void find_twins() {
    std::map<std::tuple<int, int, int>, std::pair<std::vector<Place>, std::vector<Place>>> channels;
    for (int s = 0; s < size(); ++s) {
      const auto& list = stages_[at(s)];
      twins_[at(s)].resize(list.size());
      for (int i = 0; i < static_cast<int>(list.size()); ++i) {
        const StageAction& a = list[at(i)];
        if (a.kind != Kind::kStartSend && a.kind != Kind::kStartReceive) continue;
        if (a.peer < 0 || a.peer >= size() || a.peer == s)
          fail(describe({s, i}) + ", which is no other stage");
        if (a.kind == Kind::kStartSend) channels[{s, a.peer, a.tag}].first.push_back({s, i});
        if (a.kind == Kind::kStartReceive) channels[{a.peer, s, a.tag}].second.push_back({s, i});
      }
    }
    for (const auto& [channel, both] : channels) pair_up(both.first, both.second);
  }

  void pair_up(const std::vector<Place>& sends, const std::vector<Place>& receives) {
    for (std::size_t i = 0; i < std::max(sends.size(), receives.size()); ++i) {
      if (i >= receives.size()) fail(describe(sends[i]) + ", which never receives it");
      if (i >= sends.size()) fail(describe(receives[i]) + ", which never sends it");
      const StageAction &sent = action(sends[i]), &received = action(receives[i]);
      if (sent.name != received.name || sent.bytes != received.bytes)
        fail(describe(sends[i]) + ", but " + describe(receives[i]));
      twin(sends[i]) = receives[i];
      twin(receives[i]) = sends[i];
    }
  }

  Place& twin(const Place& p) { return twins_[at(p.stage)][at(p.position)]; }

  /// Every message is finished once, after it was started.
  void find_unfinished() const {
    for (int s = 0; s < size(); ++s) {
      const auto& list = stages_[at(s)];
      std::vector<int> finished(list.size(), 0);
      for (int i = 0; i < static_cast<int>(list.size()); ++i) {
        if (list[at(i)].kind != Kind::kFinish) continue;
        const int started = list[at(i)].started;
        const bool starts = started >= 0 && started < i &&
                            (list[at(started)].kind == Kind::kStartSend ||
                             list[at(started)].kind == Kind::kStartReceive);
        if (!starts)
          fail("stage " + std::to_string(s) + " finishes '" + list[at(i)].name +
               "' before it starts it");
        if (++finished[at(started)] > 1) fail(describe({s, started}) + ", and finishes it twice");
      }
      for (int i = 0; i < static_cast<int>(list.size()); ++i)
        if ((list[at(i)].kind == Kind::kStartSend || list[at(i)].kind == Kind::kStartReceive) &&
            !finished[at(i)])
          fail(describe({s, i}) + ", and never finishes it");
    }
  }

  /// The message that a stage stands at.
  Place standing_at(int stage) const {
    return {stage, stages_[at(stage)][at(next_[at(stage)])].started};
  }

  bool waits(int stage) {
    if (stages_[at(stage)][at(next_[at(stage)])].kind != Kind::kFinish) return false;
    const Place other = twin(standing_at(stage));
    return other.position >= next_[at(other.stage)];
  }

  /// Each waiting stage waits for one that waits, too: following them ends in a circle.
  [[noreturn]] void report_cycle(int stage) const {
    for (int steps = 0; steps < size(); ++steps) stage = action(standing_at(stage)).peer;
    const Place here = standing_at(stage);
    const Place there = standing_at(action(here).peer);
    fail("stages wait for each other: " + describe(here) + " and waits, while " + describe(there) +
         " and waits");
  }

  const Stages& stages_;
  std::vector<std::vector<Place>> twins_;  // of the starts
  std::vector<int> next_;
};

}  // namespace

void check_messages(const Stages& stages) { MessageCheck(stages).run(); }

}  // namespace lockstep
