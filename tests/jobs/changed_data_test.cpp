#include <gtest/gtest.h>

#include "tests/jobs/cifar_files.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// The tiny job on CIFAR's files in the folder cifar: 60 pictures to train on, 12 to validate with.
std::string job_on_cifar() {
  std::string job = kTinyJob;
  const std::string synthetic =
      "source = synthetic\nsynthetic_samples = 48\nsynthetic_classes = 4\n";
  return job.replace(job.find(synthetic), synthetic.size(), "source = cifar10\npath = cifar\n");
}

void change(const ProgramRoom& room, const std::string& file, std::size_t byte, char value) {
  std::string bytes = room.read(file);
  bytes[byte] = value;
  room.write(file, bytes);
}

constexpr std::size_t kRecord = 1 + 3 * 32 * 32;

class ChangedData : public testing::Test {
 protected:
  void SetUp() override {
    write_cifar(room, "cifar", 12);
    room.write("job.cfg", job_on_cifar());
    const auto trained = room.run("train job.cfg --set train.epochs=1");
    ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  }
  void expect_refusal(const std::string& command, const std::string& what) const {
    const auto refused = room.run(command);
    EXPECT_EQ(refused.exit_code, 65);
    EXPECT_TRUE(refused.complains(
        "runs/tiny: the data are not those that it was trained on until step 4: " + what +
        ". Bring back the old ones"))
        << refused.errors;
  }

  ProgramRoom room;
};

TEST_F(ChangedData, TrainCommandRefusesToResume) {
  const std::string batch = "cifar/data_batch_2.bin", good = room.read(batch),
                    test = room.read("cifar/test_batch.bin");
  change(room, batch, 0, 9);  // the label of a 2
  expect_refusal(
      "train job.cfg",
      "training data: other labels: 5 samples of 'c', before 6, 7 samples of 'j', before 6");
  expect_refusal(
      "launch -n 2 --threads 1 train job.cfg",
      "training data: other labels: 5 samples of 'c', before 6, 7 samples of 'j', before 6");
  room.write(batch, good.substr(0, 6 * kRecord));
  expect_refusal("train job.cfg", "training data: 54 samples, before 60");
  room.write(batch, good);
  change(room, batch, 100, static_cast<char>(good[100] + 1));
  expect_refusal("train job.cfg", "training data: other content of samples");
  room.write(batch, good);
  room.write("cifar/test_batch.bin", test.substr(0, kRecord));
  expect_refusal("train job.cfg", "validation data: 1 samples, before 12");
}

TEST_F(ChangedData, TrainCommandGoesOnWhereItMay) {
  const std::string batch = "cifar/data_batch_2.bin", good = room.read(batch);
  std::filesystem::rename(room.directory() / "cifar", room.directory() / "moved");
  ASSERT_EQ(room.run("data pack --source cifar10 --path moved --out packed.h5").exit_code, 0);
  const auto moved = room.run("train job.cfg --set data.path=moved --set train.max_steps=5");
  EXPECT_EQ(moved.exit_code, 0) << moved.errors;
  const auto packed = room.run(
      "launch -n 2 --threads 1 train job.cfg --set data.source=packed --set data.path=packed.h5"
      " --set data.distribute=scatter --set train.max_steps=6");
  EXPECT_EQ(packed.exit_code, 0) << packed.errors;  // the same data
  std::filesystem::rename(room.directory() / "moved", room.directory() / "cifar");
  room.write(batch, good.substr(0, 6 * kRecord));
  const auto told = room.run("train job.cfg --set data.on_changed=warn");
  EXPECT_EQ(told.exit_code, 0) << told.errors;
  EXPECT_TRUE(told.complains("resuming on other data: training data: 54 samples, before 60"))
      << told.errors;
  // these are the run's data now
  EXPECT_EQ(room.run("train job.cfg --set train.epochs=3").exit_code, 0);
}

TEST_F(ChangedData, TrainCommandWarnsThatStartFromKnewOtherClasses) {
  room.write("cifar/batches.meta.txt", "b\na\nc\nd\ne\nf\ng\nh\ni\nj\n");
  expect_refusal("train job.cfg --set train.validate_every=0",
                 "training data: label 0 is 'b', before 'a'");
  const auto begun = room.run(
      "train job.cfg --set run.name=next --set run.start_from=runs/tiny --set train.max_steps=1");
  EXPECT_EQ(begun.exit_code, 0) << begun.errors;
  EXPECT_TRUE(
      begun.complains("run.start_from = runs/tiny: label 0 is 'b' in the data, 'a' where the "
                      "checkpoint was trained"))
      << begun.errors;
}

TEST_F(ChangedData, EvalCommandOnlyTells) {
  EXPECT_FALSE(room.run("eval job.cfg").complains("other data"));
  room.write("cifar/test_batch.bin", room.read("cifar/test_batch.bin").substr(0, kRecord));
  const auto other = room.run("eval job.cfg");
  EXPECT_EQ(other.exit_code, 0) << other.errors;
  EXPECT_TRUE(other.complains("other data than in training: validation data: 1 samples, before 12"))
      << other.errors;
  EXPECT_FALSE(room.run("eval job.cfg --split train").complains("other data"));
}

TEST_F(ChangedData, InspectCommandShowsTheFingerprint) {
  const std::string data = "cifar10, 60 samples, 10 classes; labels ";
  EXPECT_TRUE(room.run("inspect runs/tiny:4").says("\ndata train: " + data));
  const auto run = room.run("inspect runs/tiny");
  EXPECT_TRUE(run.says("\n  data train: " + data)) << run.output;
  EXPECT_TRUE(run.says("\n  data val: cifar10, 12 samples, 10 classes; labels "));
  const auto set = room.run("inspect cifar --source cifar10");
  const auto at = set.output.find("train fingerprint: " + data);
  ASSERT_NE(at, std::string::npos) << set.output;
  const std::string line = set.output.substr(at + 19, set.output.find('\n', at) - at - 19);
  EXPECT_TRUE(run.says("data train: " + line + "\n"));  // the same hashes
}

}  // namespace
}  // namespace lockstep
