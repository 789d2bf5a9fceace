#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <regex>

#include "tests/jobs/png_file.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

/// Inverts one byte in the middle of a file.
void damage(const std::filesystem::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(std::filesystem::file_size(path) / 2);
  file.seekg(middle);
  const char byte = static_cast<char>(file.get() ^ 0xFF);
  file.seekp(middle);
  file.put(byte);
}

/// Big-endian, as IDX files have their numbers.
std::string big(std::uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16),
          static_cast<char>(value >> 8), static_cast<char>(value)};
}

/// IDX files of `count` different pictures of 2 x 2, with labels 0, 1, 2, 0, ...; with `every` > 0 every so many-th is 1
/// and the others are 0.
void write_idx(const ProgramRoom& room, const std::string& prefix, std::uint32_t count, int first,
               std::uint32_t every = 0) {
  std::string images = big(0x803) + big(count) + big(2) + big(2), labels = big(0x801) + big(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    images += std::string(4, static_cast<char>(first + static_cast<int>(i)));
    labels += static_cast<char>(every > 0 ? (i + 1) % every == 0 : i % 3);
  }
  room.write(prefix + "-images-idx3-ubyte", images);
  room.write(prefix + "-labels-idx1-ubyte", labels);
}

TEST(InspectCommand, CheckpointAndRun) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  ASSERT_EQ(room.run("train job.cfg").exit_code, 0);
  const std::string newest = "runs/tiny/checkpoints/step-00000006";

  const auto checkpoint = room.run("inspect " + newest);
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.errors;
  EXPECT_TRUE(checkpoint.says("checkpoint " + newest + ": verified, "));
  EXPECT_TRUE(checkpoint.says("step 6, after epoch 2 and 0 samples of the next, seed 1"));
  // A convolution's weights, with dims and bytes; gamma still near 1.
  EXPECT_TRUE(std::regex_search(checkpoint.output,
                                std::regex("\nmomentum/stem.conv.weight +\\[16,3,3,3\\] +1728 ")));
  EXPECT_TRUE(std::regex_search(
      checkpoint.output,
      std::regex("\nparameters/stem.norm.weight +\\[16\\] +64 +(1|0\\.9|1\\.0)")));

  EXPECT_TRUE(
      checkpoint.says("\ninput: [3,8,8]\nmean: [0.5]\nstd: [0.25]\nresize: 0\nclass_names: []\n"));
  EXPECT_NE(room.read("runs/tiny/job.cfg").find("\nmean = 0.5\nstd = 0.25\n"), std::string::npos);

  EXPECT_TRUE(checkpoint.says("\n  data.height = 8\n"));
  EXPECT_FALSE(checkpoint.says("augment."));  // nobody has said them

  const auto run = room.run("inspect runs/tiny/");
  EXPECT_FALSE(run.says("augment."));
  EXPECT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_TRUE(run.says("last step        step 6"));
  EXPECT_TRUE(run.says("last validation  step 6"));
  EXPECT_TRUE(run.says("checkpoint step-00000003: verified, after epoch 1"));
  EXPECT_TRUE(run.says("checkpoint step-00000006: verified, after epoch 2"));

  damage(room.directory() / newest / "shard-000.h5");
  const auto bad = room.run("inspect " + newest);
  EXPECT_EQ(bad.exit_code, 65);
  EXPECT_TRUE(bad.complains("shard-000.h5"));
  const auto run_with_bad = room.run("inspect runs/tiny");
  EXPECT_EQ(run_with_bad.exit_code, 65);
  EXPECT_TRUE(run_with_bad.says("checkpoint step-00000003: verified"));
  EXPECT_TRUE(run_with_bad.says("checkpoint step-00000006: BAD: "));

  const auto part = room.run("inspect " + newest + "/index.h5");
  EXPECT_EQ(part.exit_code, 64);
  EXPECT_TRUE(part.complains("is a part of a checkpoint; inspect the directory"));
}

TEST(TrainCommand, TheRunRemembersItsStarts) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  ASSERT_EQ(room.run("train job.cfg --set train.epochs=1").exit_code, 0);
  const auto again = room.run("train job.cfg --set train.epochs=1");
  EXPECT_FALSE(again.complains("resuming: "));
  const auto resumed = room.run("launch -n 2 --threads 1 train job.cfg");
  EXPECT_EQ(resumed.exit_code, 0) << resumed.errors;
  EXPECT_TRUE(resumed.complains("resuming: the job has train.epochs = 2 now; it was 1"));
  EXPECT_TRUE(
      resumed.complains("resuming: 2 ranks x 1 threads now, 1 ranks x 1 threads before: not "
                        "bit-equal"));
  EXPECT_NE(room.read("runs/tiny/job-1.cfg").find("epochs = 1\n"), std::string::npos);
  EXPECT_NE(room.read("runs/tiny/job.cfg").find("epochs = 2\n"), std::string::npos);

  const auto run = room.run("inspect runs/tiny");
  EXPECT_TRUE(run.says("  train.batch = 16\n"));
  EXPECT_TRUE(run.says("environment (of the newest of 3 starts)\n"));
  EXPECT_TRUE(run.says("  command_line: lockstep train job.cfg\n"));
  const auto checkpoint = room.run("inspect runs/tiny/checkpoints/step-00000006");
  EXPECT_TRUE(checkpoint.says("\nranks: 2\nthreads: 1\n"));
  EXPECT_TRUE(checkpoint.says("\ninstruction_set: "));
}

TEST(InspectCommand, TellsMeanAndStdThatTheJobSays) {
  ProgramRoom room;
  room.write("job.cfg", std::string(kTinyJob) + "[augment]\nmean = 0.5\nstd = 0.2\n");
  ASSERT_EQ(room.run("train job.cfg --set train.epochs=1").exit_code, 0);
  for (const char* what : {"inspect runs/tiny", "inspect runs/tiny:3"})
    EXPECT_TRUE(room.run(what).says("\n  augment.mean = 0.5\n  augment.std = 0.2\n")) << what;
}

TEST(DataCommand, SaysThatPicturesHaveSizesOfTheirOwn) {
  ProgramRoom room;
  for (const char* name : {"cat", "dog"}) {
    std::filesystem::create_directories(room.directory() / "photos" / name);
    for (int side : {2, 3})
      room.write(std::string("photos/") + name + "/" + std::to_string(side) + ".png",
                 png_file(side, 4, std::string(static_cast<std::size_t>(12 * side), name[0])));
  }
  const auto checked = room.run("data check --source folder --path photos --split train");
  EXPECT_EQ(checked.exit_code, 0) << checked.errors;
  EXPECT_TRUE(checked.output.starts_with(
      "train: folder, 4 samples of sizes of their own, image files, 2 classes\n"))
      << checked.output;
}

TEST(InspectCommand, Datasets) {
  ProgramRoom room;
  write_idx(room, "train", 7, 0);
  const auto alone = room.run("inspect . --source idx");
  EXPECT_EQ(alone.exit_code, 0) << alone.errors;
  EXPECT_TRUE(alone.says("train: idx, 7 samples of 1 x 2 x 2, 3 classes\n"));
  EXPECT_TRUE(alone.says("  0            3  42.86%\n"));
  EXPECT_TRUE(alone.says("val: none ("));
  write_idx(room, "t10k", 3, 100);
  EXPECT_TRUE(room.run("inspect . --source idx").says("val: idx, 3 samples of 1 x 2 x 2"));
}

TEST(InspectCommand, SaysWhatIsWrong) {
  ProgramRoom room;
  EXPECT_EQ(room.run("inspect").exit_code, 64);
  const auto missing = room.run("inspect nowhere");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_EQ(missing.errors, "lockstep: error: nowhere does not exist\n");
  std::filesystem::create_directories(room.directory() / "runs/a");
  EXPECT_TRUE(room.run("inspect a").complains("did you mean runs/a?"));
  EXPECT_TRUE(room.run("inspect a:best").complains("did you mean runs/a?"));
  const auto unknown = room.run("inspect .");
  EXPECT_EQ(unknown.exit_code, 64);
  EXPECT_TRUE(unknown.complains("--source folder"));
  room.write("text.h5", "no dataset");
  EXPECT_EQ(room.run("inspect text.h5").exit_code, 65);
  EXPECT_EQ(room.run("inspect . --source tar").exit_code, 64);
  EXPECT_EQ(room.run("inspect . --source idx").exit_code, 66);
}

TEST(DataCommand, PackedFileHoldsTheSame) {
  ProgramRoom room;
  write_idx(room, "train", 7, 0);
  write_idx(room, "t10k", 3, 100);
  const auto packed = room.run("data pack --source idx --path . --out new/set.h5");
  EXPECT_EQ(packed.exit_code, 0) << packed.errors;
  EXPECT_EQ(packed.output, "train: 7 samples\nval: 3 samples\npacked into new/set.h5\n");
  const auto shown = room.run("inspect new/set.h5");
  EXPECT_EQ(shown.exit_code, 0) << shown.errors;
  EXPECT_TRUE(shown.says("new/set.h5: verified"));
  EXPECT_TRUE(shown.says("train: packed, 7 samples of 1 x 2 x 2, 3 classes\n"));
  EXPECT_TRUE(shown.says("val: packed, 3 samples"));

  const auto again = room.run("data pack --source idx --path . --out new/set.h5");
  EXPECT_EQ(again.exit_code, 64);
  EXPECT_TRUE(again.complains("exists already"));
  damage(room.directory() / "new/set.h5");
  EXPECT_EQ(room.run("inspect new/set.h5").exit_code, 65);
}

TEST(DataCommand, ASplitAlone) {
  ProgramRoom room;
  write_idx(room, "train", 7, 0);
  EXPECT_EQ(room.run("data pack --source idx --path . --out a.h5").exit_code, 66);
  EXPECT_EQ(room.run("data pack --source idx --path . --out a.h5 --split train").exit_code, 0);
  const auto shown = room.run("inspect a.h5");
  EXPECT_TRUE(shown.says("train: packed, 7 samples"));
  EXPECT_FALSE(shown.says("val:"));
}

TEST(DataCommand, CheckFindsDuplicatesLeakageAndDamage) {
  ProgramRoom room;
  write_idx(room, "train", 9, 0);
  write_idx(room, "t10k", 3, 100);
  const auto good = room.run("data check --source idx --path . --decode");
  EXPECT_EQ(good.exit_code, 0) << good.errors;
  EXPECT_TRUE(good.says("train: idx, 9 samples of 1 x 2 x 2, 3 classes\n  mean of pixels"));
  EXPECT_TRUE(good.says("0 validation samples are also in the training data\ngood\n"));

  write_idx(room, "t10k", 3, 7);  // 7 and 8 are training samples
  const auto leaky = room.run("data check --source idx --path .");
  EXPECT_EQ(leaky.exit_code, 65);
  EXPECT_TRUE(leaky.says("2 validation samples are also in the training data\n"));
  EXPECT_TRUE(leaky.says("error: 2 validation samples occur in training, 0 may; ")) << leaky.output;
  EXPECT_TRUE(leaky.says("\nnot usable\n"));
  const auto allowed = room.run("data check --source idx --path . --max-leaked 2 --strict");
  EXPECT_EQ(allowed.exit_code, 0) << allowed.output;
  EXPECT_TRUE(allowed.says("\ngood\n"));

  ASSERT_EQ(room.run("data pack --source idx --path . --out set.h5 --split train").exit_code, 0);
  std::filesystem::resize_file(room.directory() / "set.h5", 600);
  const auto cut = room.run("data check --source packed --path set.h5 --split train");
  EXPECT_EQ(cut.exit_code, 65);
}

/// 16 training pictures, 12 of them of class 0.
const char* const kUnevenJob =
    "[run]\nname = a\n[data]\nsource = idx\npath = .\n[model]\nfamily = mlp\ncounts = 1\n"
    "widths = 8\n[train]\nepochs = 1\nbatch = 8\n[parallel]\nthreads = 1\n";
const std::string kUneven =
    "training: classes are uneven: 12 of class 0, 4 of class 1 (75% of all are in one class, 70% "
    "may be)";
void write_uneven(const ProgramRoom& room) {
  write_idx(room, "train", 16, 0, 4);
  write_idx(room, "t10k", 8, 100, 2);
  room.write("a.cfg", kUnevenJob);
}

TEST(DataCommand, CheckWarnsOfUnevenClassesAndStrictIsAnError) {
  ProgramRoom room;
  write_uneven(room);
  const auto warned = room.run("data check a.cfg");
  EXPECT_EQ(warned.exit_code, 0) << warned.output;
  EXPECT_TRUE(warned.says("\nwarning: " + kUneven + "\nusable, with 1 warning\n")) << warned.output;
  const auto strict = room.run("data check a.cfg --strict");
  EXPECT_EQ(strict.exit_code, 65);
  EXPECT_TRUE(strict.says("not usable: 1 warning, which --strict counts as errors\n"))
      << strict.output;
  EXPECT_TRUE(room.run("data check a.cfg --strict --max-class-share 0.8").says("\ngood\n"));
  EXPECT_TRUE(
      room.run("data check a.cfg --strict --set data.max_class_share=0.8").says("\ngood\n"));
  EXPECT_EQ(
      room.run("data check --source idx --path . --strict --max-class-share 1 --max-class-ratio 2")
          .exit_code,
      65);
  EXPECT_EQ(room.run("data check a.cfg --max-class-share 0").exit_code, 64);
  EXPECT_EQ(room.run("data check a.cfg --max-leaked=-1").exit_code, 64);
}

TEST(TrainCommand, WarnsOfUnevenClassesAsDataCheckDoes) {
  ProgramRoom room;
  write_uneven(room);
  const auto trained = room.run("train a.cfg");
  EXPECT_EQ(trained.exit_code, 0) << trained.errors;
  EXPECT_TRUE(trained.complains("warning: " + kUneven)) << trained.errors;
  EXPECT_FALSE(trained.complains("validation: classes"));
  EXPECT_FALSE(room.run("train a.cfg --set run.resume=off --set data.max_class_share=0.8")
                   .complains("uneven"));
  const auto lacking = room.run("train a.cfg --set run.resume=off --set data.val_samples=1");
  EXPECT_TRUE(lacking.complains("warning: validation: 1 classes have no sample, e.g. class 1"))
      << lacking.errors;
}

TEST(DataCommand, ReadsTheDataOfAJob) {
  ProgramRoom room;
  write_idx(room, "train", 9, 0);
  write_idx(room, "t10k", 3, 100);
  room.write("a.cfg", "[data]\nsource = idx\npath = .\n");
  const auto checked = room.run("data check a.cfg");
  EXPECT_EQ(checked.exit_code, 0) << checked.errors;
  EXPECT_TRUE(checked.says("train: idx, 9 samples")) << checked.output;
  EXPECT_TRUE(checked.says("val: idx, 3 samples"));
  EXPECT_FALSE(room.run("data check a.cfg --set train.validate_every=0").says("val:"));
  EXPECT_TRUE(
      room.run("data check a.cfg --set train.validate_every=0 --split both").says("val: idx"));
  EXPECT_EQ(room.run("data check a.cfg --set data.path=nowhere").exit_code, 66);

  ASSERT_EQ(room.run("data pack a.cfg set.h5").exit_code, 0);
  const auto packed = room.run("data check a.cfg --set data.source=packed --set data.path=set.h5");
  EXPECT_EQ(packed.exit_code, 0) << packed.errors;
  EXPECT_TRUE(packed.says("train: packed, 9 samples"));
  EXPECT_TRUE(room.run("data check --help-job").says("[data]"));
}

TEST(DataCommand, CheckAndPackRefuseTheSame) {
  ProgramRoom room;
  room.write("a.cfg", "[data]\nsource = synthetic\n");
  for (const std::string what : {"check", "pack"}) {
    const std::string out = what == "pack" ? " --out b.h5" : "";
    const auto complains = [&](const std::string& words, const std::string& text) {
      const auto result = room.run("data " + what + words + out);
      EXPECT_EQ(result.exit_code, 64) << words;
      EXPECT_TRUE(result.complains(text)) << result.errors;
    };
    complains(" --source synthetic --path .", "synthetic data is made up and has no files");
    complains(" --source synthetic_masks --path .",
              "synthetic_masks data is made up and has no files");
    complains(" a.cfg", "synthetic data is made up and has no files");
    complains(" a.cfg --source idx --path .", "not both");
    complains(" --set data.source=idx", "--set changes a job file; name one");
    complains(" --source idx", "Name a job file, or use --source KIND --path PATH");
    EXPECT_TRUE(room.run("data " + what + " --help").says("masks or packed"));
  }
}

TEST(DataCommand, SaysWhatIsWrong) {
  ProgramRoom room;
  EXPECT_EQ(room.run("data").exit_code, 64);
  EXPECT_EQ(room.run("data --help").exit_code, 0);
  EXPECT_EQ(room.run("data pack --help").exit_code, 0);
  const auto word = room.run("data chek --source idx --path .");
  EXPECT_EQ(word.exit_code, 64);
  EXPECT_TRUE(word.complains("did you mean 'check'?"));
  EXPECT_EQ(room.run("data check --path .").exit_code, 64);
  EXPECT_EQ(room.run("data check --source idx --path . --split test").exit_code, 64);
  const auto missing = room.run("data check --source idx --path nowhere");
  EXPECT_EQ(missing.exit_code, 66);
  EXPECT_TRUE(missing.complains("nowhere"));
}

}  // namespace
}  // namespace lockstep
