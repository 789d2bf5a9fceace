#include "coordinator/progress.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

namespace lockstep {

namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string clock_time(double seconds) {
  const auto s = static_cast<long>(seconds);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

Progress::Progress(std::int64_t total_steps, double every_s)
    : total_steps_(total_steps),
      every_s_(every_s),
      terminal_(isatty(STDERR_FILENO) != 0 || std::getenv(kTerminalVariable) != nullptr) {}

std::string Progress::line(const StepMetrics& m) const {
  const double left = static_cast<double>(total_steps_ - m.step) * step_seconds_;
  return fmt::format(
      "epoch {} step {}/{}  loss {:.4f}  acc {:.1f}%  lr {:.4g}  {:.0f} images/s  ETA {}",
      m.epoch + 1, m.step, total_steps_, m.loss, 100 * m.accuracy, m.learning_rate,
      images_per_second_, clock_time(left));
}

void Progress::on_step(const StepMetrics& m) {
  const double speed = static_cast<double>(m.samples) / m.step_seconds;
  const bool first = images_per_second_ == 0;
  images_per_second_ = first ? speed : 0.9 * images_per_second_ + 0.1 * speed;
  step_seconds_ = first ? m.step_seconds : 0.9 * step_seconds_ + 0.1 * m.step_seconds;
  const double t = now();
  if (!first && t - last_shown_ < (terminal_ ? 0.2 : every_s_)) return;
  last_shown_ = t;
  if (terminal_)
    std::fprintf(stderr, "\r\033[K%s", line(m).c_str());
  else
    spdlog::info("{}", line(m));
}

void Progress::on_validation(const ValidationMetrics& m) {
  if (terminal_) std::fprintf(stderr, "\r\033[K");
  if (m.mean_iou) {
    spdlog::info(
        "epoch {} step {}: validation loss {:.4f}, mean IoU {:.2f}%, pixel accuracy {:.2f}% of {} "
        "images",
        m.epoch, m.step, m.loss, 100 * *m.mean_iou, 100 * m.accuracy, m.samples);
    return;
  }
  spdlog::info(
      "epoch {} step {}: validation loss {:.4f}, accuracy {:.2f}% (top-5 {:.2f}%) of {} images",
      m.epoch, m.step, m.loss, 100 * m.accuracy, 100 * m.top5, m.samples);
}

void Progress::on_end() {
  if (terminal_) std::fprintf(stderr, "\r\033[K");
}

}  // namespace lockstep
