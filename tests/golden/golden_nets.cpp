#include "tests/golden/golden_nets.h"

#include <algorithm>

namespace lockstep {

std::vector<std::filesystem::path> golden_nets() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(LOCKSTEP_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".golden" && entry.path().stem() != "ops")
      paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  return paths;
}

std::vector<int> golden_labels(const GoldenFile& file) {
  const reference::Tensor& labels = file.tensor("labels");
  return {labels.values.begin(), labels.values.end()};
}

std::string golden_statistic(const std::string& graph_name) {
  const std::size_t dot = graph_name.rfind('.') + 1;
  return "statistic/" + graph_name.substr(0, dot) + "running_" + graph_name.substr(dot);
}

}  // namespace lockstep
