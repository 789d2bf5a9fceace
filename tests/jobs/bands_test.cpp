// Pictures of five bands, from raw arrays to a checkpoint: data, packing, training, evaluation.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

std::string idx(const std::vector<int>& dims, const std::string& values) {
  std::string file{0, 0, 8, static_cast<char>(dims.size())};
  for (const int dim : dims)
    for (const int shift : {24, 16, 8, 0}) file.push_back(static_cast<char>(dim >> shift));
  return file + values;
}

constexpr int kBands = 5, kSide = 8, kClasses = 4;

/// Class c is bright in band c, and in the last one by chance.
void write_bands(const ProgramRoom& room, const std::string& split, int samples) {
  std::string pixels, labels;
  unsigned noise = 1;
  for (int i = 0; i < samples; ++i) {
    labels.push_back(static_cast<char>(i % kClasses));
    for (int p = 0; p < kSide * kSide; ++p)
      for (int c = 0; c < kBands; ++c) {
        noise = noise * 1664525u + 1013904223u;
        const unsigned least = c == i % kClasses ? 150 : 20;
        pixels.push_back(static_cast<char>(least + (noise >> 26)));
      }
  }
  room.write(split + "-images-idx4-ubyte", idx({samples, kSide, kSide, kBands}, pixels));
  room.write(split + "-labels-idx1-ubyte", idx({samples}, labels));
}

const char* const kJob = R"(
[run]
name = bands
[data]
source = idx
path = .
[augment]
pad = 1
flip = true
mean = 0.2, 0.2, 0.2, 0.2, 0.2
std = 0.2, 0.2, 0.2, 0.2, 0.2
[model]
family = custom
counts = 1, 1
widths = 16, 32
[train]
epochs = 2
batch = 16
[parallel]
threads = 1
)";

TEST(TrainCommand, LearnsFromFiveBands) {
  ProgramRoom room;
  write_bands(room, "train", 64);
  write_bands(room, "val", 16);
  room.write("job.cfg", kJob);
  const auto checked = room.run("data check job.cfg --decode --max-leaked 16");
  // The validation pictures are among the training ones here.
  EXPECT_EQ(checked.exit_code, 0) << checked.output << checked.errors;
  // 20 + 31.5 of noise, and 130 more in every fourth picture but for the last band, of 255.
  EXPECT_TRUE(checked.says("mean of pixels in [0,1]: 0.32")) << checked.output;
  const auto trained = room.run("launch -n 2 --threads 1 train job.cfg");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  const auto evaluated = room.run("eval job.cfg --json");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.errors;
  const auto scores = nlohmann::json::parse(evaluated.output);
  EXPECT_EQ(scores["top1"], 1.0) << evaluated.output;
  EXPECT_TRUE(room.run("inspect runs/bands:8").says("[16,5,3,3]"));

  ASSERT_EQ(room.run("data pack job.cfg bands.h5").exit_code, 0);
  const auto packed =
      room.run("eval job.cfg --json --set data.source=packed --set data.path=bands.h5");
  ASSERT_EQ(packed.exit_code, 0) << packed.errors;
  EXPECT_EQ(nlohmann::json::parse(packed.output)["loss"], scores["loss"]);
  const auto three = room.run("train job.cfg --set run.name=three --set data.channels=3");
  EXPECT_EQ(three.exit_code, 64);
  EXPECT_TRUE(three.complains("data.channels = 3, but . has pictures of 5")) << three.errors;
}

TEST(TrainCommand, TakesAnyNumberOfSyntheticChannels) {
  ProgramRoom room;
  room.write("job.cfg", kTinyJob);
  for (const char* model :
       {"", " --set model.family=transformer --set model.counts=1 --set model.widths=32",
        " --set model.family=convnext --set model.counts=1,1 --set model.widths=16,16",
        " --set model.family=mlp --set model.counts=1 --set model.widths=16"}) {
    const auto trained = room.run(
        "train job.cfg --set data.channels=13 --set train.max_steps=1 --set run.resume=off" +
        std::string(model));
    EXPECT_EQ(trained.exit_code, 0) << model << trained.errors;
  }
}

}  // namespace
}  // namespace lockstep
