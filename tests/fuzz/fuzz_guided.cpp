// libFuzzer's entry (README.md): `fuzz_guided --format=job CORPUS`.
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/data/temp_folder.h"
#include "tests/fuzz/campaign.h"

namespace {

std::string format_name;

struct Target {
  lockstep::TempFolder originals, folder;
  std::unique_ptr<lockstep::fuzz::Format> format =
      lockstep::fuzz::make_format(format_name, originals.path());
};

Target& target() {
  static Target one;
  return one;
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
/// libFuzzer leaves words that begin with -- to the program.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kFormat = "--format=";
  for (int i = 1; i < *argc; ++i) {
    const std::string_view word = (*argv)[i];
    if (word.starts_with(kFormat)) format_name = word.substr(kFormat.size());
  }
  spdlog::set_level(spdlog::level::off);
  try {
    target();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz_guided --format=NAME CORPUS: %s\n", error.what());
    std::exit(2);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = lockstep::fuzz::parse_input({data, size}, target().format->files());
  try {
    lockstep::fuzz::run_input(*target().format, input, target().folder.path());
  } catch (const lockstep::fuzz::Finding& finding) {
    std::fprintf(stderr, "%s\n", finding.what());
    std::abort();
  }
  return 0;
}
