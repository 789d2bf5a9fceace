// lockstep plan of a job with stages: by stage, what it needs, does and sends.
#include "jobs/plan_stages.h"

#include <iostream>

#include "coordinator/plan/report_text.h"
#include "jobs/bench.h"

namespace lockstep {
namespace {

std::string ms(double seconds) { return fixed(seconds * 1e3, 1); }

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : "; ") + word;
  return text;
}

std::string stages_text(const PipelineReport& report) {
  std::vector<std::vector<std::string>> lines{
      {"stage", "blocks", "ops", "holds", "computes ms", "messages", "sends to stages"}};
  for (std::size_t s = 0; s < report.stages.size(); ++s) {
    const StageReport& stage = report.stages[s];
    lines.push_back(
        {std::to_string(s) + "  " + joined(stage.blocks), "", std::to_string(stage.ops),
         std::to_string(stage.held), ms(stage.busy_seconds) + (stage.replays ? " *" : ""),
         std::to_string(stage.traffic.stage_messages), in_units(stage.traffic.stage_bytes_sent)});
  }
  for (auto& line : lines) line.erase(line.begin() + 1);
  lines[0][0] = "stage and its blocks";
  return columns(lines, 2);
}

/// Groups of memory, stage by stage.
std::string memory_text(const PipelineReport& report) {
  std::vector<std::vector<std::string>> lines{{"memory of a rank"}, {"  total"}};
  for (std::size_t s = 0; s < report.stages.size(); ++s) {
    lines[0].push_back("stage " + std::to_string(s));
    std::size_t line = 1;
    for (const MemoryGroup& group : report.stages[s].memory) {
      for (const MemoryPart& part : group.parts) {
        const std::string name =
            "  " + group.name.substr(0, group.name.find(',')) + ": " + part.name;
        std::size_t at = 1;
        while (at + 1 < lines.size() && lines[at][0] != name) ++at;
        if (at + 1 >= lines.size()) lines.insert(lines.end() - 1, {name});
        lines[at].resize(s + 1, "0 B");
        lines[at].push_back(in_units(part.bytes));
        line = std::max(line, at);
      }
    }
    lines.back().push_back(in_units(total_bytes(report.stages[s].memory)));
  }
  for (auto& line : lines) line.resize(report.stages.size() + 1, "0 B");
  return columns(lines, 2);
}

}  // namespace

void print_stages(const Job& job, const PlannedNeeds& needs) {
  const PipelineReport& report = needs.report;
  std::cout
      << "grid " << needs.replicas << " replicas x " << report.stages.size() << " stages, "
      << needs.threads << " threads a rank, up to " << needs.images << " images in each of "
      << job.train.micro_batches << " micro-batches, " << job.parallel.schedule
      << (job.parallel.fold ? ", folded" : "") << "\n"
      << stages_text(report)
      << "  (holds: micro-batches between their forward and backward; * computes values again)\n"
      << "step " << ms(report.seconds) << " ms, " << needs.origin << "; bubble "
      << fixed(100 * report.bubble, 1) << "%\n"
      << machine_text(needs.machine, needs.measured, false) << "\n"
      << memory_text(report) << "  (besides: the program, MPI and oneDNN's generated code)\n"
      << machine_use_text(needs.use);
}

}  // namespace lockstep
