#include "jobs/job_synonyms.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/error.h"
#include "jobs/job_file.h"
#include "jobs/job_key.h"

namespace lockstep {
namespace {

std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_job(text, "a.cfg", overrides);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(JobSynonyms, LeadToKeysThatExist) {
  const std::pair<const char*, const char*> words[] = {
      {"lr", "optimizer.learning_rate"}, {"train.bs", "train.batch"}, {"optimizer.wd", "optimizer.weight_decay"},
      {"epoch", "train.epochs"},         {"workers", "data.threads"}, {"arch", "model.family"}};
  for (const auto& [word, key] : words) {
    EXPECT_EQ(meant_key(word), key);
    EXPECT_NE(find_job_key(key), nullptr) << key;
    EXPECT_NE(error_of("", {std::string(word) + "=1"}).find("did you mean '" + std::string(key) + "'"), std::string::npos)
        << error_of("", {std::string(word) + "=1"});
  }
  EXPECT_EQ(meant_key("colour"), "");
  EXPECT_NE(error_of("[optimizer]\nname = adam\n").find("SGD with momentum"), std::string::npos);
}

TEST(ExpandedPath, ReadsHomeAndVariables) {
  setenv("LOCKSTEP_TEST_DIR", "/scratch/me", 1);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(expanded_path("~/a"), "/home/me/a");
  EXPECT_EQ(expanded_path("a~/~b"), "a~/~b");
  EXPECT_EQ(expanded_path("$LOCKSTEP_TEST_DIR/x${LOCKSTEP_TEST_DIR}y"), "/scratch/me/x/scratch/mey");
  for (const char* wrong : {"$", "a$/b", "${A", "$LOCKSTEP_TEST_NOTHING"}) EXPECT_THROW(expanded_path(wrong), ConfigError) << wrong;
  const Job job = parse_job("[run]\ndirectory = ~/runs\n[data]\npath = $LOCKSTEP_TEST_DIR/c\n", "a.cfg", {});
  EXPECT_EQ(job.run.directory, "/home/me/runs");
  EXPECT_EQ(job.data.path, "/scratch/me/c");
  EXPECT_EQ(error_of("[data]\npath = $LOCKSTEP_TEST_NOTHING/c\n"),
            "a.cfg:2: data.path = '$LOCKSTEP_TEST_NOTHING/c': the variable LOCKSTEP_TEST_NOTHING is not set");
}

TEST(JobFile, MayBeginWithAByteOrderMark) {
  EXPECT_EQ(parse_job("\xEF\xBB\xBF[train]\nbatch = 7\n", "a.cfg", {}).train.batch, 7);
}

}  // namespace
}  // namespace lockstep
