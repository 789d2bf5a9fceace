#include "coordinator/metrics_file.h"

#include <spdlog/spdlog.h>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {

namespace {

using Json = nlohmann::ordered_json;

double milliseconds(double seconds) { return std::round(seconds * 1e6) / 1e3; }

/// JSON has no NaN: a diverged loss is written as a string, which no reader takes for a number.
Json number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

}  // namespace

/// The text without lines of later steps; a torn last line goes too.
MetricsFile::KeptLines MetricsFile::kept_lines(const std::string& text, std::int64_t last_step,
                                               bool validated) {
  KeptLines kept;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) continue;
    const auto step = json["step"].get<std::int64_t>();
    const bool is_step = json.contains("step_ms");
    if (step < last_step || (step == last_step && (validated || is_step))) {
      kept.text += line + "\n";
      if (is_step) kept.last_step = step;
    } else if (step > last_step && is_step && json["step_ms"].is_number()) {
      ++lost_.steps;
      lost_.seconds += json["step_ms"].get<double>() * 1e-3;
    }
  }
  return kept;
}

MetricsFile::MetricsFile(std::filesystem::path path, std::int64_t last_step, bool validated)
    : path_(std::move(path)) {
  open(last_step, validated);
}

void MetricsFile::open(std::int64_t last_step, bool validated) {
  if (std::filesystem::exists(path_)) {
    const std::string text = read_text_file(path_, std::uint64_t{1} << 32);
    const auto [kept, last_kept] = kept_lines(text, last_step, validated);
    last_step_ = last_kept;
    if (kept != text) {
      const std::filesystem::path fresh = path_.string() + ".tmp";
      write_file_durably(fresh, kept);
      std::filesystem::rename(fresh, path_);
    }
    note_past(kept);
  }
  if (!std::filesystem::exists(path_)) write_file_durably(path_, "");
  file_.emplace(OpenFile::for_update(path_));
  end_ = file_->bytes();
  if (lost_.steps > 0)
    spdlog::warn("lost: {} steps after step {}, {:.1f} s of work, are done again", lost_.steps,
                 last_step, lost_.seconds);
}

void MetricsFile::on_rollback(std::int64_t, std::int64_t to) {
  *this = MetricsFile(std::move(path_), to);
}

void MetricsFile::note_past(const std::string& lines) {
  constexpr std::size_t kMost = 64;
  std::size_t end = lines.size();
  while (end > 0 && past_.size() < kMost) {
    const std::size_t before = end < 2 ? std::string::npos : lines.rfind('\n', end - 2);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const Json json = Json::parse(lines.substr(begin, end - begin), nullptr, false);
    end = begin;
    if (!json.is_object() || !json.contains("grad_norm")) continue;
    const Json& norm = json["grad_norm"];
    past_.push_back(
        {norm.is_number() ? norm.get<double>() : std::nan(""), json.value("held", false)});
  }
  std::ranges::reverse(past_);
}

void MetricsFile::append(const std::string& line) {
  // A full disk must not end training: the line is lost, and said so once; the next one is written over what there is of
  // it. Not by a stream: libstdc++'s, cleared after a flush that failed, stores each further line's end beyond its buffer.
  const std::string text = line + '\n';
  try {
    file_->write_at(end_, std::as_bytes(std::span(text)));
    end_ += text.size();
    failed_ = false;
  } catch (const IoError&) {
    if (!failed_)
      spdlog::error("{} cannot be written; is the disk full? Training goes on", path_.string());
    failed_ = true;
  }
}

void MetricsFile::on_step(const StepMetrics& m) {
  Json json;
  json["step"] = m.step;
  json["epoch"] = m.epoch;
  json["loss"] = number(m.loss);
  json["accuracy"] = m.accuracy;
  json["lr"] = m.learning_rate;
  json["grad_norm"] = number(m.gradient_norm);
  if (m.held) json["held"] = true;
  json["samples"] = m.samples;
  json["images_per_second"] = std::round(static_cast<double>(m.samples) / m.step_seconds * 10) / 10;
  json["step_ms"] = milliseconds(m.step_seconds);
  json["data_ms"] = milliseconds(m.data_seconds);
  json["compute_ms"] = milliseconds(m.times.compute);
  json["sync_bn_ms"] = milliseconds(m.times.sync_bn);
  json["reduce_ms"] = milliseconds(m.times.reduce);
  json["pipeline_ms"] = milliseconds(m.times.pipeline);
  json["barrier_ms"] = milliseconds(m.times.barrier);
  json["update_ms"] = milliseconds(m.times.update);
  append(json.dump());
}

void MetricsFile::on_validation(const ValidationMetrics& m) {
  Json json;
  json["step"] = m.step;
  json["epoch"] = m.epoch;
  json["val_loss"] = number(m.loss);
  json["val_accuracy"] = m.accuracy;
  if (m.mean_iou)
    json["val_miou"] = *m.mean_iou;
  else
    json["val_top5"] = m.top5;
  json["val_samples"] = m.samples;
  append(json.dump());
}

void MetricsFile::sync() { fsync_file(path_); }

}  // namespace lockstep
