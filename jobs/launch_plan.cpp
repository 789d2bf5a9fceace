#include "jobs/launch_plan.h"

#include <algorithm>

#include "coordinator/rank_cpus.h"

namespace lockstep {
std::string shell_quoted(const std::string& word) {
  const char* plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

int launched_threads(int cores, int ranks) { return std::max(1, cores / ranks); }

LaunchPlan plan_launch(const LaunchRequest& request) {
  const int threads =
      request.threads > 0 ? request.threads : launched_threads(request.cores, request.ranks);
  LaunchPlan plan;
  if (request.as_root) {
    plan.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  }
  plan.command = {request.mpirun.string(), "-n", std::to_string(request.ranks)};
  const auto add = [&](std::initializer_list<std::string> words) {
    plan.command.insert(plan.command.end(), words);
  };
  if (request.ulfm) add({"--with-ft", "ulfm"});
  if (request.ranks > request.cores) add({"--oversubscribe"});
  if (request.ranks * threads <= request.cores) {
    add({"--map-by", "slot:PE=" + std::to_string(threads), "--bind-to", "core"});
  } else {
    add({"--bind-to", "none"});
  }
  add({"-x", "OMP_NUM_THREADS=" + std::to_string(threads)});
  if (request.threads > 0)
    add({"-x", std::string(kThreadsVariable) + "=" + std::to_string(threads)});
  add({request.program.string()});
  plan.command.insert(plan.command.end(), request.arguments.begin(), request.arguments.end());
  return plan;
}

std::string to_shell(const LaunchPlan& plan) {
  std::string text;
  for (const auto& [name, value] : plan.environment) text += name + "=" + shell_quoted(value) + " ";
  for (const std::string& word : plan.command) text += shell_quoted(word) + " ";
  text.pop_back();
  return text;
}

}  // namespace lockstep
