// Reads mutated files of every format (README.md): `fuzz_formats --mutations 10000 --seed 1`.
#include <spdlog/spdlog.h>
#include <boost/program_options.hpp>
#include <iostream>

#include "data/error.h"
#include "tests/data/temp_folder.h"
#include "tests/fuzz/campaign.h"

namespace lockstep::fuzz {
namespace {

namespace po = boost::program_options;

struct Request {
  std::string format = "all";
  std::string replay;
  std::string corpus;
  CampaignOptions campaign;
};

/// Nothing to do: the help was asked for.
bool parse(int argc, char** argv, Request& request) {
  std::string names = "all";
  for (const std::string& name : format_names()) names += ", " + name;
  auto& campaign = request.campaign;
  std::string keep = campaign.keep.string();
  po::options_description options("fuzz_formats [OPTIONS]");
  options.add_options()("help", "This text.")("format", po::value(&request.format), names.c_str())(
      "seed", po::value(&campaign.seed), "Of the mutations. Default: 1.")(
      "mutations", po::value(&campaign.mutations), "Of each format. Default: 10000.")(
      "first", po::value(&campaign.first), "Number of the first one. Default: 0.")(
      "seconds", po::value(&campaign.seconds), "Processor time of one input. Default: 20.")(
      "keep", po::value(&keep), "Where inputs go that found something. Default: here.")(
      "replay", po::value(&request.replay), "Reads this kept input of --format and no other.")(
      "corpus", po::value(&request.corpus),
      "Only writes the originals of --format there, for libFuzzer.");
  po::variables_map values;
  po::store(po::parse_command_line(argc, argv, options), values);
  po::notify(values);
  campaign.keep = keep;
  if (values.contains("help")) std::cout << options;
  return !values.contains("help");
}

void replay(const Format& format, const std::string& file, const std::filesystem::path& folder) {
  const std::string bytes = slurp(file);
  const Input input = parse_input(
      {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, format.files());
  try {
    format.read(input, folder);
    std::cout << file << ": taken as good\n";
  } catch (const Error& error) {
    std::cout << file << ": refused: " << error.what() << "\n";
  }
}

/// Whether nothing was found.
bool campaign(const Format& format, const Request& request, const std::filesystem::path& folder) {
  const CampaignResult result = run_campaign(format, request.campaign, folder);
  char line[200];
  std::snprintf(
      line, sizeof(line),
      "%-10s  taken as good %6llu  refused %6llu  slowest %7.3f s  most memory %5llu MiB  "
      "findings %zu\n",
      format.name().c_str(), static_cast<unsigned long long>(result.accepted),
      static_cast<unsigned long long>(result.refused), result.slowest_s,
      static_cast<unsigned long long>(result.most_bytes >> 20), result.findings.size());
  std::cout << line << std::flush;
  for (const std::string& finding : result.findings) std::cout << "  " << finding << "\n";
  return result.findings.empty();
}

int run(int argc, char** argv) {
  Request request;
  if (!parse(argc, argv, request)) return 0;
  spdlog::set_level(spdlog::level::off);
  bool clean = true;
  for (const std::string& name : format_names()) {
    if (request.format != "all" && request.format != name) continue;
    const TempFolder originals, folder;
    const auto format = make_format(name, originals.path());
    if (!request.corpus.empty()) {
      std::filesystem::create_directories(request.corpus);
      for (std::size_t i = 0; i < format->originals().size(); ++i) {
        spill(std::filesystem::path(request.corpus) / (name + std::to_string(i)),
              to_bytes(format->originals()[i]), 0);
      }
    } else if (!request.replay.empty()) {
      replay(*format, request.replay, folder.path());
    } else {
      clean = campaign(*format, request, folder.path()) && clean;
    }
  }
  return clean ? 0 : 1;
}

}  // namespace
}  // namespace lockstep::fuzz

int main(int argc, char** argv) {
  try {
    return lockstep::fuzz::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "fuzz_formats: " << error.what() << "\n";
    return 2;
  }
}
