// The job files in jobs/ are read by users as examples: every one must load, and build its model.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "jobs/job_file.h"
#include "layers/model.h"

namespace lockstep {
namespace {

std::vector<std::filesystem::path> example_jobs() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(LOCKSTEP_SOURCE_DIR "/jobs")) {
    if (entry.path().extension() == ".cfg") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(ExampleJobs, LoadAndBuildTheirModels) {
  const auto files = example_jobs();
  ASSERT_GE(files.size(), 4u);
  for (const auto& file : files) {
    SCOPED_TRACE(file.string());
    const Job job = load_job(file);
    const int side = std::max(job.data.height, 28);
    const int channels = std::max<int>(1, static_cast<int>(job.augment.mean.size()));
    const Graph graph = build_model(job.model, Shape{channels, side, side}, 10);
    EXPECT_FALSE(graph.ops().empty());
  }
}

TEST(ExampleJobs, NamesOfRunsDiffer) {
  std::vector<std::string> names;
  for (const auto& file : example_jobs()) names.push_back(load_job(file).run.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(std::adjacent_find(names.begin(), names.end()), names.end());
}

}  // namespace
}  // namespace lockstep
