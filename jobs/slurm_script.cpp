#include "jobs/slurm_script.h"

#include <cmath>
#include <regex>
#include <sstream>

#include "jobs/launch_plan.h"

namespace lockstep {
namespace {

constexpr const char* kTrainScript =
#include "train_sbatch.inc"
    ;

}  // namespace

std::string batch_script(const SlurmRequest& request) {
  std::ostringstream script;
  const std::int64_t per_cpu = (request.mib_per_rank + request.threads - 1) / request.threads;
  script << "#!/usr/bin/env bash\n#SBATCH --job-name=" << request.name
         << "\n#SBATCH --ntasks=" << request.ranks << "\n";
  if (request.nodes > 0) script << "#SBATCH --nodes=" << request.nodes << "\n";
  script << "#SBATCH --cpus-per-task=" << request.threads << "\n#SBATCH --mem-per-cpu=" << per_cpu
         << "M\n#SBATCH --time=" << request.minutes << "\n#SBATCH --output=" << request.log.string()
         << "\n#SBATCH --open-mode=append\n#SBATCH --requeue\n#SBATCH --signal=B:USR1@120\n";
  for (const std::string& word : request.sbatch_words) script << "#SBATCH " << word << "\n";
  script << ": \"${LOCKSTEP:=" << request.program.string() << "}\"\n";
  std::istringstream lines(kTrainScript);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#!") && !line.starts_with("#SBATCH")) script << line << "\n";
  }
  return script.str();
}

std::optional<std::int64_t> minutes_of_limit(const std::string& text) {
  static const std::regex form(R"((?:(\d{1,6})-)?(\d{1,8})(?::(\d{1,6}))?(?::(\d{1,6}))?)");
  std::smatch found;
  if (!std::regex_match(text, found, form)) return std::nullopt;
  std::vector<std::int64_t> fields;
  for (std::size_t i = 2; i < found.size(); ++i)
    if (found[i].matched) fields.push_back(std::stoll(found[i]));
  const bool days = found[1].matched;
  // without days the first of three are hours, of fewer minutes
  if (!days && fields.size() < 3) fields.insert(fields.begin(), 0);
  fields.resize(3, 0);
  const std::int64_t hours = fields[0] + (days ? 24 * std::stoll(found[1]) : 0);
  const std::int64_t seconds = (hours * 60 + fields[1]) * 60 + fields[2];
  if (seconds == 0) return std::nullopt;
  return (seconds + 59) / 60;
}

std::int64_t minutes_to_ask_for(std::int64_t steps, double step_seconds) {
  return 5 +
         static_cast<std::int64_t>(std::ceil(static_cast<double>(steps) * step_seconds * 1.5 / 60));
}

std::int64_t mib_to_ask_for(std::size_t planned_bytes) {
  return 512 + static_cast<std::int64_t>((planned_bytes + planned_bytes / 10) >> 20) + 1;
}

}  // namespace lockstep
