#include "jobs/data_text.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "coordinator/plan/report_text.h"

namespace lockstep {
namespace {

std::string formatted(const char* format, double value) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

std::string size_text(const DatasetInfo& info) {
  const std::string channels = std::to_string(info.channels);
  const std::string size =
      info.height > 0
          ? channels + " x " + std::to_string(info.height) + " x " + std::to_string(info.width)
          : (info.channels > 0 ? channels + " channels and " : "") + "sizes of their own";
  return size + (info.format == SampleFormat::kImageFile ? ", image files" : "") +
         (info.masks ? ", with masks" : "");
}

std::string head_of(const Dataset& dataset) {
  const DatasetInfo& info = dataset.info();
  return info.split + ": " + info.source + ", " + std::to_string(info.samples) + " samples of " +
         size_text(info) + ", " + std::to_string(info.classes) + " classes\n";
}

void add_split(std::string& text, const SplitReport& report, const Dataset& dataset) {
  text += head_of(dataset);
  const auto count = [&](std::int64_t n, const char* what) {
    if (n > 0) text += "  " + std::to_string(n) + " " + what + "\n";
  };
  count(report.bad_labels, "labels out of range");
  count(report.unreadable, "samples cannot be read");
  count(report.duplicates, "duplicates of earlier samples");
  count(report.conflicting, "of them with another label");
  const auto values = [&](const char* name, const std::vector<double>& list) {
    if (list.empty()) return;
    text += std::string("  ") + name + " of pixels in [0,1]:";
    for (const double v : list) text += formatted(" %.4f", v);
    text += "\n";
  };
  values("mean", report.mean);
  values("std", report.std);
  if (!dataset.info().masks) text += class_table(report.class_counts, dataset.info().class_names);
}

}  // namespace

std::string class_table(std::span<const std::int64_t> counts, std::span<const std::string> names) {
  const std::int64_t all = std::max<std::int64_t>(std::reduce(counts.begin(), counts.end()), 1);
  std::vector<std::vector<std::string>> lines{{"class", "samples", "part"}};
  for (std::size_t c = 0; c < counts.size(); ++c) {
    std::string name = std::to_string(c);
    if (c < names.size()) name += " " + names[c];
    const double part = 100.0 * static_cast<double>(counts[c]) / static_cast<double>(all);
    lines.push_back({std::move(name), std::to_string(counts[c]), formatted("%.2f%%", part)});
  }
  return columns(lines, 2);
}

std::string fingerprint_text(const DataFingerprint& f) {
  constexpr std::size_t kDigits = 12;
  std::string hashes;
  const auto add = [&](const std::string& name, const std::string& hash) {
    if (!hash.empty())
      hashes += (hashes.empty() ? "; " : ", ") + name + " " + hash.substr(0, kDigits);
  };
  add("labels", f.labels);
  add("files", f.files);
  add("content of " + std::to_string(f.content_samples), f.content);
  add("of all", f.all_content);
  return f.source + ", " + std::to_string(f.samples) + " samples, " + std::to_string(f.classes) +
         " classes" + hashes;
}

std::string data_record_text(const std::string& record, const std::string& indent) {
  const auto json = nlohmann::ordered_json::parse(record, nullptr, false);
  std::string text;
  if (!json.is_object()) return text;
  for (const auto& [split, value] : json.items())
    if (const auto fingerprint = parse_fingerprint(value.dump()))
      text.append(indent)
          .append("data ")
          .append(split)
          .append(": ")
          .append(fingerprint_text(*fingerprint))
          .append("\n");
  return text;
}

std::string dataset_text(const Dataset& dataset) {
  if (dataset.info().masks) return head_of(dataset);
  std::vector<std::int64_t> all(static_cast<std::size_t>(dataset.size()));
  std::iota(all.begin(), all.end(), 0);
  return head_of(dataset) + class_table(class_counts(dataset, all), dataset.info().class_names);
}

bool is_usable(const DatasetReport& report, bool strict) {
  return report.good() && !(strict && !report.warnings.empty());
}

std::string report_text(const DatasetReport& report, const Dataset& train, const Dataset* val,
                        bool strict) {
  std::string text;
  add_split(text, report.train, train);
  if (val) {
    add_split(text, report.val, *val);
    text += std::to_string(report.leaked) + " validation samples are also in the training data\n";
  }
  for (const std::string& warning : report.warnings) text += "warning: " + warning + "\n";
  for (const std::string& error : report.errors) text += "error: " + error + "\n";
  const std::string warned = std::to_string(report.warnings.size()) +
                             (report.warnings.size() == 1 ? " warning" : " warnings");
  if (!report.good()) return text + "not usable\n";
  if (!is_usable(report, strict))
    return text + "not usable: " + warned + ", which --strict counts as errors\n";
  return text + (report.warnings.empty() ? "good\n" : "usable, with " + warned + "\n");
}

}  // namespace lockstep
