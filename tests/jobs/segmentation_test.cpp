#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

constexpr const char* kTinyUNet = R"([run]
name = tiny
[data]
source = synthetic_masks
synthetic_samples = 24
synthetic_classes = 3
height = 16
width = 16
[augment]
pad = 2
flip = true
[model]
family = unet
widths = 8, 16
[train]
epochs = 6
batch = 8
[optimizer]
learning_rate = 0.2
)";

nlohmann::json last_validation(const ProgramRoom& room) {
  std::istringstream lines(room.read("runs/tiny/metrics.jsonl"));
  nlohmann::json found;
  for (std::string line; std::getline(lines, line);)
    if (auto json = nlohmann::json::parse(line); json.contains("val_loss")) found = json;
  return found;
}

TEST(SegmentationCommand, TrainsAndTellsMeanIou) {
  const ProgramRoom room;
  room.write("job.cfg", kTinyUNet);
  const auto trained = room.run("train job.cfg");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  EXPECT_TRUE(trained.says("validation mean IoU ")) << trained.output;
  const auto told = last_validation(room);
  EXPECT_GT(told["val_miou"], 0.3);  // background alone: 0.2 or so
  EXPECT_EQ(told["val_samples"], 24);
  EXPECT_FALSE(told.contains("val_top5"));

  const auto alone = nlohmann::json::parse(room.run("eval job.cfg --json").output);
  EXPECT_EQ(alone["mean_iou"], told["val_miou"]);
  EXPECT_EQ(alone["pixel_accuracy"], told["val_accuracy"]);
  const auto three = nlohmann::json::parse(
      room.run("launch -n 3 eval job.cfg --json --set data.distribute=scatter").output);
  EXPECT_EQ(alone["mean_iou"], three["mean_iou"]);  // counts of pixels
  EXPECT_NEAR(alone["loss"], three["loss"], 1e-5);
}

TEST(SegmentationCommand, WantsDataAndModelToFit) {
  const ProgramRoom room;
  room.write("job.cfg", kTinyUNet);
  const auto pictures = room.run("plan job.cfg --set data.source=synthetic");
  EXPECT_EQ(pictures.exit_code, 64);
  EXPECT_TRUE(pictures.complains("the model wants a label for every pixel")) << pictures.errors;
  const auto classifier = room.run("plan job.cfg --set model.family=custom --set model.counts=1,1");
  EXPECT_EQ(classifier.exit_code, 64);
  EXPECT_TRUE(classifier.complains("use family = unet")) << classifier.errors;
  const auto odd = room.run("plan job.cfg --set data.height=17");
  EXPECT_EQ(odd.exit_code, 64);
  EXPECT_TRUE(odd.complains("make data.height and data.width multiples of 2")) << odd.errors;
}

}  // namespace
}  // namespace lockstep
