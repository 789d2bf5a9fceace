#include "jobs/job_synonyms.h"

#include <gtest/gtest.h>

#include "data/error.h"
#include "jobs/job_file.h"
#include "jobs/job_key.h"
#include "tests/jobs/job_errors.h"

namespace lockstep {
namespace {

TEST(JobSynonyms, LeadToKeysThatExist) {
  const std::pair<const char*, const char*> words[] = {{"lr", "optimizer.learning_rate"},
                                                       {"train.bs", "train.batch"},
                                                       {"optimizer.wd", "optimizer.weight_decay"},
                                                       {"epoch", "train.epochs"},
                                                       {"workers", "data.threads"},
                                                       {"optimizer.type", "optimizer.name"},
                                                       {"train.optimizer", "optimizer.name"},
                                                       {"optim", "optimizer.name"},
                                                       {"arch", "model.family"}};
  for (const auto& [word, key] : words) {
    EXPECT_EQ(meant_key(word), key);
    EXPECT_NE(find_job_key(key), nullptr) << key;
    EXPECT_NE(
        error_of("", {std::string(word) + "=1"}).find("did you mean '" + std::string(key) + "'"),
        std::string::npos)
        << error_of("", {std::string(word) + "=1"});
  }
  EXPECT_EQ(meant_key("colour"), "");
}

TEST(JobSynonyms, AllLeadToKeys) {
  for (const std::string& key : keys_with_synonyms()) EXPECT_NE(find_job_key(key), nullptr) << key;
}

TEST(JobSynonyms, NameAKeyWithoutItsSection) {
  EXPECT_EQ(error_of("[model]\nname = resnet\n"),
            "a.cfg:2: unknown key 'model.name'; did you mean 'model.family'?");
  EXPECT_EQ(error_of("", {"momentun=0.9"}),
            "--set: unknown key 'momentun'; did you mean 'optimizer.momentum'?");
}

TEST(JobSynonyms, AnswerWhatHasNoKey) {
  EXPECT_EQ(error_of("", {"optimizer.betas=0.9,0.999"}),
            "--set: unknown key 'optimizer.betas': they are two keys here, optimizer.beta1 and "
            "optimizer.beta2");
  EXPECT_EQ(error_of("[train]\ngpus = 4\n"),
            "a.cfg:2: unknown key 'train.gpus': training is on CPUs; lockstep launch -n N, mpirun "
            "or srun starts N ranks");
  EXPECT_NE(error_of("", {"nodes=2"}).find("lockstep launch -n N"), std::string::npos);
}

TEST(JobSynonyms, OfValuesAreFoundAmongTheKeysWords) {
  EXPECT_EQ(error_of("", {"schedule.policy=cosin"}),
            "--set: schedule.policy = 'cosin' is not valid; did you mean 'cosine'? Use step, "
            "cosine, one_cycle, plateau or constant");
  const auto meant = [](const char* key, const char* value) {
    return meant_value(*find_job_key(key), value);
  };
  EXPECT_EQ(meant("train.precision", "fp16"), "'bf16'");
  EXPECT_EQ(meant("train.precision", "F32"), "'f32'");
  EXPECT_EQ(meant("optimizer.name", "Adam"), "'adamw'");
  EXPECT_EQ(meant("optimizer.name", "SGD"), "'sgd'");
  EXPECT_EQ(meant("optimizer.name", "rmsprop"), "");
  EXPECT_EQ(meant("data.source", "ImageFolder"), "'folder'");
  EXPECT_EQ(meant("schedule.policy", "one-cycle"), "'one_cycle'");
  EXPECT_EQ(meant("model.family", "resnet50"), "'resnet' with model.depth = 50");
  EXPECT_EQ(meant("schedule.policy", "bn"), "");            // a word of another key
  EXPECT_EQ(meant("schedule.policy", "sawtooth"), "");      // nothing is near
  EXPECT_EQ(meant("optimizer.learning_rate", "fp16"), "");  // no words
}

}  // namespace
}  // namespace lockstep
