#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/fuzz/format.h"

namespace lockstep::fuzz {

/// Reads an input. The exit code of the error that refused it; none: it was taken as good.
/// @throws Finding: also for any exception that is no Error, and for an InternalError.
std::optional<int> run_input(const Format& format, const Input& input,
                             const std::filesystem::path& folder);

/// The mutated input of this number: the same for ever, as long as the format's originals are.
Input make_input(const Format& format, std::uint64_t seed, std::uint32_t number);

struct CampaignOptions {
  std::uint64_t seed = 1;
  std::uint32_t first = 0;
  std::uint32_t mutations = 10000;
  int seconds = 20;  // of processor time that one input may take; six times as long by the clock
  int most_findings = 20;
  std::filesystem::path keep = ".";  // inputs that found something: FORMAT-SEED-NUMBER
};

struct CampaignResult {
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  double slowest_s = 0;          // of one input
  std::uint64_t most_bytes = 0;  // that reading one input added to the process
  std::vector<std::string> findings;
};

/// Every input is read in a child process, which reads many one after the other until one brings it
/// down: by a signal, a sanitizer, too much time or memory, or a Finding.
CampaignResult run_campaign(const Format& format, const CampaignOptions& options,
                            const std::filesystem::path& folder);

}  // namespace lockstep::fuzz
