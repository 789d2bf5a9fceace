#include "coordinator/run_observer.h"

#include <gtest/gtest.h>

#include "data/error.h"

namespace lockstep {
namespace {

/// Writes what it is told into a text that several share.
class Recorder : public RunObserver {
 public:
  Recorder(std::string name, std::string& told) : name_(std::move(name)), told_(told) {}

  void on_step(const StepMetrics& m) override { say("step " + std::to_string(m.step)); }
  void on_validation(const ValidationMetrics& m) override {
    say("validation " + std::to_string(m.step));
  }
  void on_checkpoint(std::int64_t step) override { say("checkpoint " + std::to_string(step)); }
  void on_warning(WarningKind, const std::string& what) override { say("warning " + what); }
  void on_rollback(std::int64_t from, std::int64_t to) override {
    say("rollback " + std::to_string(from) + " " + std::to_string(to));
  }
  void on_end() override { say("end"); }
  void sync() override { say("sync"); }

 private:
  void say(const std::string& what) { told_ += name_ + " " + what + "; "; }

  std::string name_;
  std::string& told_;
};

TEST(Observers, AreToldInTheOrderInWhichTheyWereAdded) {
  std::string told;
  Observers observers;
  observers.add<Recorder>("a", told);
  observers.add<Recorder>("b", told);
  observers.on_step({.step = 1});
  observers.on_validation({.step = 2});
  observers.sync();
  observers.on_checkpoint(3);
  observers.on_warning(WarningKind::kSpike, "w");
  observers.on_rollback(5, 4);
  observers.on_end();
  EXPECT_EQ(told,
            "a step 1; b step 1; a validation 2; b validation 2; a sync; b sync; "
            "a checkpoint 3; b checkpoint 3; a warning w; b warning w; "
            "a rollback 5 4; b rollback 5 4; a end; b end; ");
}

TEST(Observers, OneWithoutHooksIsToldOfNothing) {
  Observers observers;
  observers.add<RunObserver>();
  observers.on_step({});
  observers.on_end();
}

// A checkpoint must not be published before what it stands beside is on the disk.
TEST(Observers, WhatOneThrowsIsNotHeldBack) {
  struct Full : RunObserver {
    void sync() override { throw IoError("full"); }
  };
  Observers observers;
  observers.add<Full>();
  EXPECT_THROW(observers.sync(), IoError);
}

}  // namespace
}  // namespace lockstep
