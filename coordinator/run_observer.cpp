#include "coordinator/run_observer.h"

namespace lockstep {

void Observers::on_step(const StepMetrics& metrics) {
  for (const auto& observer : all_) observer->on_step(metrics);
}

void Observers::on_validation(const ValidationMetrics& metrics) {
  for (const auto& observer : all_) observer->on_validation(metrics);
}

void Observers::on_checkpoint(std::int64_t step) {
  for (const auto& observer : all_) observer->on_checkpoint(step);
}

void Observers::on_warning(WarningKind kind, const std::string& what) {
  for (const auto& observer : all_) observer->on_warning(kind, what);
}

void Observers::on_rollback(std::int64_t from, std::int64_t to) {
  for (const auto& observer : all_) observer->on_rollback(from, to);
}

void Observers::on_end() {
  for (const auto& observer : all_) observer->on_end();
}

void Observers::sync() {
  for (const auto& observer : all_) observer->sync();
}

}  // namespace lockstep
