#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/metrics.h"

namespace lockstep {

/// Of which kind a warning is: those of a kind that may come again are counted together.
enum class WarningKind { kOnce, kSpike, kNotFinite, kStraggler };

/// Looks on while a job trains, on one rank: a file of metrics, a progress line, a log. It changes nothing of what is
/// trained, and what it does in a hook is time of the step. observers.cpp says which there are, and on which
/// ranks. What a hook throws ends the training: an observer that a training can do without catches its own errors.
/// A hook may communicate if the observer is registered on all ranks; but for on_warning() and sync() they
/// are called on all of them, in step.
class RunObserver {
 public:
  virtual ~RunObserver() = default;

  /// After a step's update, before what follows from it: validation, verdict, checkpoint. The same figures on all
  /// ranks but for times, which are the rank's own.
  virtual void on_step(const StepMetrics& metrics) {}
  virtual void on_validation(const ValidationMetrics& metrics) {}
  /// The checkpoint of `step` has been published, which is some steps later; the last one after on_end().
  virtual void on_checkpoint(std::int64_t step) {}
  /// On the rank that has found it.
  virtual void on_warning(WarningKind kind, const std::string& what) {}
  /// Training goes on after step `to`, an earlier one: what was told of later steps is void.
  virtual void on_rollback(std::int64_t from, std::int64_t to) {}
  /// Training is over, done or stopped as somebody wished. Not called where an error ends it.
  virtual void on_end() {}
  /// On rank 0, before a checkpoint is published: what was told so far has to be on the disk when it returns. If it
  /// throws, the checkpoint counts as not saved.
  virtual void sync() {}
};

/// Several observers as one; they are called in the order in which they were added.
class Observers : public RunObserver {
 public:
  template <typename Observer, typename... Arguments>
  Observer& add(Arguments&&... arguments) {
    auto made = std::make_unique<Observer>(std::forward<Arguments>(arguments)...);
    Observer& added = *made;
    all_.push_back(std::move(made));
    return added;
  }

  void on_step(const StepMetrics& metrics) override;
  void on_validation(const ValidationMetrics& metrics) override;
  void on_checkpoint(std::int64_t step) override;
  void on_warning(WarningKind kind, const std::string& what) override;
  void on_rollback(std::int64_t from, std::int64_t to) override;
  void on_end() override;
  void sync() override;

 private:
  std::vector<std::unique_ptr<RunObserver>> all_;
};

}  // namespace lockstep
