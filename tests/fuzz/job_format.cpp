// A job file. Modes: 0 as it is; 1 each of its lines as an override of an empty one (--set).
#include <algorithm>
#include <sstream>

#include "jobs/job_file.h"
#include "jobs/job_key.h"
#include "layers/model.h"
#include "tests/fuzz/format.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

Job parse(const Input& input) {
  if ((input.mode & 1) == 0) return parse_job(input.files[0], "job.cfg");
  std::istringstream text(input.files[0]);
  std::vector<std::string> overrides;
  std::string section;
  for (std::string line; std::getline(text, line);) {
    if (line.empty() || line.front() == '#') continue;
    if (line.front() == '[' && line.back() == ']') {
      section = line.substr(1, line.size() - 2);
    } else {
      overrides.push_back(section + "." + line);
    }
  }
  return parse_job("", "job.cfg", overrides);
}

class JobFormat : public Format {
 public:
  JobFormat() : Format("job", 1, 2, {std::uint64_t{512} << 20, 64}) {
    for (const auto& entry : fs::directory_iterator(LOCKSTEP_SOURCE_DIR "/jobs")) {
      if (entry.path().extension() == ".cfg") originals_.push_back({0, {slurp(entry.path())}});
    }
    originals_.push_back({0, {to_ini(Job{})}});
    for (const std::string& family : model_families()) {
      std::string text = "[model]\nfamily = " + family + "\ndepth = 20\nwiden = 2\n";
      if (family == "custom") text += "counts = 1,2,1\nwidths = 8,16,32\n";
      originals_.push_back({0, {text + "[train]\nbatch = 4\n"}});
    }
    // The folder's order is the file system's, but a seed must mean the same everywhere.
    std::sort(originals_.begin(), originals_.end(),
              [](const Input& a, const Input& b) { return a.files < b.files; });
    for (const JobKey& key : job_keys()) {
      const auto dot = key.name.find('.');
      vocabulary_.words.push_back("\n[" + key.name.substr(0, dot) + "]\n" +
                                  key.name.substr(dot + 1) + " = ");
      vocabulary_.words.push_back("\n" + key.name + " = 2147483647\n");
    }
    for (const char* word :
         {"[", "]", "=", "#", "\n", ",", ",,", "-1", "true", "\xff\xfe", "1e-320", "\r\n"}) {
      vocabulary_.words.push_back(word);
    }
    vocabulary_.words.push_back(std::string(1, '\0'));
    vocabulary_.marks = {"=", "[", "\n"};
  }

  void read(const Input& input, const fs::path&) const override {
    const Job job = parse(input);
    const std::string text = to_ini(job);
    if (to_ini(parse_job(text, "effective job")) != text) {
      throw Finding("the effective job does not read back as itself");
    }
    build_model(job.model, Shape{3, 64, 64}, 10);
  }
};

}  // namespace

std::unique_ptr<Format> make_job_format() { return std::make_unique<JobFormat>(); }

}  // namespace lockstep::fuzz
