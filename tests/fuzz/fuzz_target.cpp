// libFuzzer's entry for one format (README.md): LOCKSTEP_FUZZ_FORMAT is its name.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>

#include "tests/data/temp_folder.h"
#include "tests/fuzz/campaign.h"

namespace {

struct Target {
  lockstep::TempFolder originals, folder;
  std::unique_ptr<lockstep::fuzz::Format> format =
      lockstep::fuzz::make_format(LOCKSTEP_FUZZ_FORMAT, originals.path());
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  spdlog::set_level(spdlog::level::off);
  const auto input = lockstep::fuzz::parse_input({data, size}, target.format->files());
  try {
    lockstep::fuzz::run_input(*target.format, input, target.folder.path());
  } catch (const lockstep::fuzz::Finding& finding) {
    std::fprintf(stderr, "%s\n", finding.what());
    std::abort();
  }
  return 0;
}
