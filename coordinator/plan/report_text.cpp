#include "coordinator/plan/report_text.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "data/number_text.h"

namespace lockstep {

std::string in_units(std::size_t bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f %s",
                unit == 0    ? 0
                : value < 10 ? 2
                             : 1,
                value, kUnits[unit]);
  return text.data();
}

std::string with_commas(std::size_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return text;
}

std::string machine_text(const MachineModel& machine, bool measured, bool with_sums) {
  const auto digits = [](double number) { return digits_of(static_cast<float>(number)); };
  const auto giga = [&](double number) { return digits(number / 1e9); };
  std::string text = "times assume " + giga(1 / machine.seconds_per_byte) +
                     " GB/s between ranks, an update at " + giga(machine.update_bytes_per_second) +
                     " GB/s";
  if (with_sums)
    text += ", a small sum of " + digits(1e6 * machine.sum_seconds) +
            " us for each doubling of the ranks";
  if (!measured)
    text += ", ops at " + giga(machine.flops_per_second) + " GFLOP/s and " +
            giga(machine.bytes_per_second) + " GB/s a rank";
  return text + "\n";
}

std::string columns(const std::vector<std::vector<std::string>>& lines, int indent) {
  std::vector<std::size_t> widths;
  for (const auto& line : lines) {
    if (widths.size() < line.size()) widths.resize(line.size(), 0);
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  }
  std::string text;
  for (const auto& line : lines) {
    std::string out(static_cast<std::size_t>(indent), ' ');
    for (std::size_t c = 0; c < line.size(); ++c) {
      const std::string padding(widths[c] - line[c].size(), ' ');
      if (c > 0) out.append(2, ' ');
      out += c == 0 ? line[c] + padding : padding + line[c];
    }
    out.erase(out.find_last_not_of(' ') + 1);
    text += out + "\n";
  }
  return text;
}

std::string memory_text(const std::vector<MemoryGroup>& groups) {
  std::vector<std::vector<std::string>> lines;
  for (const MemoryGroup& group : groups) {
    lines.push_back({group.name, with_commas(group.bytes()), in_units(group.bytes())});
    for (const MemoryPart& part : group.parts)
      lines.push_back({"  " + part.name, with_commas(part.bytes), in_units(part.bytes)});
  }
  lines.push_back({"total", with_commas(total_bytes(groups)), in_units(total_bytes(groups))});
  return columns(lines, 2);
}

std::string traffic_text(const Traffic& traffic, int ranks, const AllReduceOptions& options) {
  std::vector<std::vector<std::string>> lines;
  const auto line = [&](const std::string& what, std::size_t bytes) {
    lines.push_back({what, with_commas(bytes), in_units(bytes)});
  };
  const std::size_t buckets = traffic.bucket_bytes.size();
  line("gradients, in " + std::to_string(buckets) + (buckets == 1 ? " bucket" : " buckets"),
       traffic.gradient_bytes());
  line("batch norm's sums, in " + std::to_string(traffic.sync_messages) + " messages",
       traffic.sync_bytes);
  line("loss and accuracy, in 1 message", traffic.loss_bytes);
  if (ranks > 1 && options.algorithm != AllReduceAlgorithm::kMpi) {
    line("sent by a rank alone on its node: gradients, 2(P-1)/P", traffic.gradient_bytes_sent);
    line("sent by a rank alone on its node: batch norm's sums", traffic.sync_bytes_sent);
  }
  return columns(lines, 2);
}

}  // namespace lockstep
