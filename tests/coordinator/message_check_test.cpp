// Lists of messages between stages: right ones, and ones that are wrong on purpose.
#include "coordinator/plan/message_check.h"

#include <gtest/gtest.h>

#include "data/error.h"

namespace lockstep {
namespace {

using Kind = StageAction::Kind;

/// Lists that read like a plan.
class Stage {
 public:
  Stage& run(const std::string& name) { return add({.kind = Kind::kRun, .name = name}); }
  Stage& send(const std::string& name, int to, std::size_t bytes = 8) {
    return add({.kind = Kind::kStartSend, .name = name, .peer = to, .bytes = bytes});
  }
  Stage& receive(const std::string& name, int from, std::size_t bytes = 8) {
    return add({.kind = Kind::kStartReceive, .name = name, .peer = from, .bytes = bytes});
  }
  Stage& finish(const std::string& name) {
    int started = -1;
    for (std::size_t i = 0; i < list_.size(); ++i)
      if (list_[i].name == name && list_[i].kind != Kind::kFinish) started = static_cast<int>(i);
    return add({.kind = Kind::kFinish, .name = name, .started = started});
  }
  operator std::vector<StageAction>() const { return list_; }

 private:
  Stage& add(StageAction action) {
    list_.push_back(std::move(action));
    return *this;
  }
  std::vector<StageAction> list_;
};

/// The message of the error, which names all of `words`.
void expect_refused(const std::vector<std::vector<StageAction>>& stages,
                    const std::vector<std::string>& words) {
  try {
    check_messages(stages);
    FAIL() << "accepted";
  } catch (const InternalError& e) {
    for (const std::string& word : words)
      EXPECT_NE(std::string(e.what()).find(word), std::string::npos)
          << word << " is not in: " << e.what();
  }
}

TEST(MessageCheck, AcceptsAStepOfTwoStages) {
  check_messages({Stage()
                      .run("F0")
                      .send("y.0", 1)
                      .run("F1")
                      .send("y.1", 1)
                      .receive("dy.0", 1)
                      .finish("dy.0")
                      .run("B0")
                      .finish("y.0")
                      .receive("dy.1", 1)
                      .finish("dy.1")
                      .run("B1")
                      .finish("y.1"),
                  Stage()
                      .receive("y.0", 0)
                      .finish("y.0")
                      .run("F0")
                      .run("B0")
                      .send("dy.0", 0)
                      .receive("y.1", 0)
                      .finish("y.1")
                      .run("F1")
                      .run("B1")
                      .send("dy.1", 0)
                      .finish("dy.0")
                      .finish("dy.1")});
}

TEST(MessageCheck, AcceptsASpanThatSkipsAStage) {
  check_messages({Stage().send("y", 1).send("skip", 2).finish("y").finish("skip"),
                  Stage().receive("y", 0).finish("y").send("z", 2).finish("z"),
                  Stage().receive("z", 1).receive("skip", 0).finish("z").finish("skip")});
}

TEST(MessageCheck, ASendNeedsItsReceive) {
  expect_refused({Stage().send("y.3", 1).finish("y.3"), Stage().run("F0")},
                 {"stage 0 sends 'y.3'", "stage 1", "never receives"});
  expect_refused({Stage().run("F0"), Stage().receive("y.3", 0).finish("y.3")},
                 {"stage 1 receives 'y.3'", "stage 0", "never sends"});
  expect_refused({Stage().send("y", 7).finish("y"), Stage().run("F0")},
                 {"stage 7", "no other stage"});
}

TEST(MessageCheck, BothSidesMeanTheSame) {
  expect_refused({Stage().send("y", 1, 16).finish("y"), Stage().receive("y", 0, 8).finish("y")},
                 {"stage 0 sends 'y' (16 bytes)", "stage 1 receives 'y' (8 bytes)"});
  expect_refused({Stage().send("a", 1).send("b", 1).finish("a").finish("b"),
                  Stage().receive("b", 0).receive("a", 0).finish("a").finish("b")},
                 {"stage 0 sends 'a'", "stage 1 receives 'b'"});
}

TEST(MessageCheck, FindsACycleOfWaits) {
  // Both want to be rid of theirs before they make room for the other's.
  expect_refused({Stage().send("y", 1).finish("y").receive("dy", 1).finish("dy"),
                  Stage().send("dy", 0).finish("dy").receive("y", 0).finish("y")},
                 {"wait for each other", "stage 0 sends 'y'", "stage 1 sends 'dy'"});
  // Around three stages; a fourth waits for one of them.
  expect_refused(
      {Stage().receive("c", 2).finish("c").send("a", 1).finish("a"),
       Stage().receive("a", 0).finish("a").send("b", 2).finish("b"),
       Stage().receive("b", 1).finish("b").send("c", 0).finish("c").send("d", 3).finish("d"),
       Stage().receive("d", 2).finish("d")},
      {"wait for each other"});
}

TEST(MessageCheck, EveryMessageIsFinishedOnce) {
  expect_refused({Stage().send("y", 1), Stage().receive("y", 0).finish("y")},
                 {"stage 0", "'y'", "never finishes"});
  expect_refused({Stage().send("y", 1).finish("y"), Stage().finish("y").receive("y", 0)},
                 {"stage 1", "before"});
  expect_refused(
      {Stage().send("y", 1).finish("y").finish("y"), Stage().receive("y", 0).finish("y")},
      {"twice"});
}

}  // namespace
}  // namespace lockstep
