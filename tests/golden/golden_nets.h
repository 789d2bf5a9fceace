#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tests/golden/golden_file.h"

namespace lockstep {

/// The files of the nets in tests/golden, sorted by name (ops.golden is not one).
std::vector<std::filesystem::path> golden_nets();

std::vector<int> golden_labels(const GoldenFile& file);

/// The tensor for one of a graph's statistics: "statistic/stem.norm.running_mean" for
/// "stem.norm.mean".
std::string golden_statistic(const std::string& graph_name);

}  // namespace lockstep
