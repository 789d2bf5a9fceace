#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// Where drills are held.
struct DrillPlace {
  std::filesystem::path directory;  // of their own; shared by all nodes
  int ranks = 2;
  int cores = 1;              // for all ranks
  int together = 2;           // ranks of the first node
  std::uint64_t weights = 0;  // at the end of the training that nobody disturbs
};

/// What a drill showed.
struct DrillReport {
  std::string injected, detected, by, recovered, lost;
  // after the fault; recovered_s 0: it never stopped working
  double detected_s = 0, recovered_s = 0;
  std::string failure;      // why it failed; empty: all was detected and recovered
  bool impossible = false;  // here; failure says why
};

struct Drill {
  const char* name;
  const char* about;
  DrillReport (*hold)(const DrillPlace& place);
};

const std::vector<Drill>& drills();

/// Trains undisturbed, for DrillPlace::weights. @throws Error if even that fails.
std::uint64_t undisturbed_weights(const DrillPlace& place);

}  // namespace lockstep
