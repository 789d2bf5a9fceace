#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "coordinator/plan/report_text.h"
#include "data/checkpoint.h"
#include "data/error.h"
#include "data/number_text.h"
#include "jobs/checkpoint_job.h"
#include "jobs/data_text.h"
#include "jobs/inspect.h"

namespace lockstep {
namespace {

struct Moments {
  double mean = 0, std = 0, min = 0, max = 0;
  std::size_t not_finite = 0;
};

Moments moments_of(std::span<const float> values) {
  Moments m{.min = INFINITY, .max = -INFINITY};
  double sum = 0;
  for (const float v : values) {
    if (!std::isfinite(v)) {
      ++m.not_finite;
      continue;
    }
    sum += v;
    m.min = std::min(m.min, double{v});
    m.max = std::max(m.max, double{v});
  }
  const auto count = static_cast<double>(values.size() - m.not_finite);
  if (count == 0) return {.not_finite = m.not_finite};
  m.mean = sum / count;
  double squares = 0;
  for (const float v : values)
    if (std::isfinite(v)) squares += (v - m.mean) * (v - m.mean);
  m.std = std::sqrt(squares / count);
  return m;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", without_nan_sign(value));
  return text;
}

std::string dims_text(const std::vector<std::int64_t>& dims) {
  std::string text = "[";
  for (const std::int64_t d : dims) {
    if (text.size() > 1) text += ',';
    text += std::to_string(d);
  }
  return text + "]";
}

void print_details(const std::string& details) {
  const auto json = nlohmann::ordered_json::parse(details, nullptr, false);
  if (!json.is_object()) return;
  for (const auto& [name, value] : json.items()) {
    if (name == "job") continue;
    if (name == "data") {
      std::cout << data_record_text(value.dump(), "");
      continue;
    }
    if (value.is_string() && value.get<std::string>().find('\n') != std::string::npos) {
      const std::string text = value;
      std::cout << name << ": " << std::ranges::count(text, '\n') << " lines\n";
    } else {
      std::cout << name << ": " << (value.is_string() ? value.get<std::string>() : value.dump())
                << "\n";
    }
  }
}

void print_state(const TrainingState& state) {
  std::cout << "step " << state.step << ", after epoch " << state.epoch << " and " << state.cursor
            << " samples of the next, seed " << state.seed << "\n";
  if (state.best_step)
    std::cout << "best validation " << number(state.best_metric) << " at step " << *state.best_step
              << "\n";
  if (state.slot_lag > 0)
    std::cout << "optimizer: what it keeps has seen " << state.step - state.slot_lag
              << " of these steps\n";
  if (const PlateauState& plateau = state.plateau; plateau.step > 0)
    std::cout << "plateau: the rate has fallen " << plateau.falls << " times; " << plateau.waited
              << " validations since, without a better " << (plateau.of_loss ? "loss" : "accuracy")
              << " than " << number(plateau.best.value_or(std::nan(""))) << "\n";
  print_details(state.details);
  if (const CheckpointJob saved = checkpoint_job(state.details); !saved.known.empty())
    std::cout << "job (what differs from the defaults)\n" << job_text_of(saved.job, saved.text);
}

void print_tensors(const Checkpoint& checkpoint) {
  std::vector<std::vector<std::string>> lines{
      {"tensor", "dims", "bytes", "mean", "std", "min", "max"}};
  std::vector<float> values;
  std::size_t bad = 0;
  for (const std::string& name : checkpoint.names()) {
    const auto& dims = checkpoint.dims(name);
    std::size_t count = 1;
    for (const std::int64_t d : dims) count *= static_cast<std::size_t>(d);
    values.resize(count);
    checkpoint.read(name, values);
    const Moments m = moments_of(values);
    bad += m.not_finite;
    lines.push_back({name, dims_text(dims), std::to_string(count * sizeof(float)), number(m.mean),
                     number(m.std), number(m.min), number(m.max)});
    if (m.not_finite > 0) lines.back().push_back(std::to_string(m.not_finite) + " not finite");
  }
  std::cout << "\n" << columns(lines);
  if (bad > 0) std::cout << bad << " values are not finite: the training has diverged\n";
}

}  // namespace

int inspect_checkpoint(const std::filesystem::path& directory) {
  const Checkpoint checkpoint = Checkpoint::open(directory);
  std::cout << "checkpoint " << directory.string() << ": verified, " << checkpoint.names().size()
            << " tensors, " << with_commas(checkpoint.bytes()) << " bytes\n";
  print_state(checkpoint.state());
  print_tensors(checkpoint);
  return 0;
}

}  // namespace lockstep
