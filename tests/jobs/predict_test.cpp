#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <vector>

#include "jobs/predictor.h"
#include "tests/jobs/cifar_files.h"
#include "tests/jobs/png_file.h"
#include "tests/jobs/run_program.h"

namespace lockstep {
namespace {

using Json = nlohmann::json;

constexpr const char* kJob = R"([run]
name = photos
[data]
source = folder
path = photos
height = 16
width = 16
[augment]
resize = 18
[model]
family = custom
counts = 1, 1
widths = 16, 32
[train]
epochs = 1
batch = 16
)";

/// Pictures of sizes of their own in photos/SPLIT/CLASS: noise, tinted by the class, weakly, so that some are mistaken.
void write_photos(const ProgramRoom& room, const std::string& split, int each) {
  std::uint32_t state = split == "val" ? 7 : 3;
  const char* const names[] = {"ant", "bee", "cat"};
  for (int label = 0; label < 3; ++label) {
    const std::string folder = "photos/" + split + "/" + names[label];
    std::filesystem::create_directories(room.directory() / folder);
    for (int i = 0; i < each; ++i) {
      const int height = 20 + i % 5, width = 30 - i % 7;
      std::string pixels;
      for (int p = 0; p < 3 * height * width; ++p) {
        state = state * 1664525 + 1013904223;
        pixels += static_cast<char>((state >> 24) / 2 + (p % 3 == label ? 6 : 0));
      }
      room.write(folder + "/" + std::to_string(i) + ".png", png_file(height, width, pixels));
    }
  }
}

std::vector<Json> json_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<Json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(Json::parse(line));
  return lines;
}

/// One run on pictures, trained once for all tests.
class PredictCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    room = std::make_unique<ProgramRoom>();
    room->write("job.cfg", kJob);
    write_photos(*room, "train", 20);
    write_photos(*room, "val", 15);
    const auto trained = room->run("train job.cfg");
    ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  }
  static void TearDownTestSuite() { room.reset(); }
  static std::unique_ptr<ProgramRoom> room;
};

std::unique_ptr<ProgramRoom> PredictCommand::room;

TEST_F(PredictCommand, AgreesWithEval) {
  const auto evaluated = room->run("eval job.cfg --json");
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.errors;
  const auto predicted = room->run("predict runs/photos photos/val --json");
  ASSERT_EQ(predicted.exit_code, 0) << predicted.errors;
  const auto lines = json_lines(predicted.output);
  ASSERT_EQ(lines.size(), 45u);
  int right = 0;
  double loss = 0;
  for (const Json& line : lines) {
    const std::string picture = line["picture"];
    double sum = 0;
    ASSERT_EQ(line["top"].size(), 3u);
    for (const Json& one : line["top"]) {
      const double p = one["probability"];
      sum += p;
      if (picture.find("/" + one["class"].get<std::string>() + "/") != std::string::npos)
        loss -= std::log(p) / 45;
    }
    EXPECT_NEAR(sum, 1, 1e-9);
    right +=
        picture.find("/" + line["top"][0]["class"].get<std::string>() + "/") != std::string::npos;
  }
  const Json told = Json::parse(evaluated.output);
  EXPECT_NEAR(right / 45.0, told["top1"].get<double>(), 1e-12);
  EXPECT_NEAR(loss, told["loss"].get<double>(), 1e-6);
  EXPECT_LT(right, 45);  // else it says little
}

TEST_F(PredictCommand, PrintsALineForEachPicture) {
  const auto result =
      room->run("predict runs/photos photos/val/cat/0.png photos/val/ant/3.png --top 1");
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_TRUE(result.output.starts_with("photos/val/cat/0.png: ")) << result.output;
  EXPECT_TRUE(result.says("\nphotos/val/ant/3.png: ")) << result.output;
  EXPECT_TRUE(result.output.ends_with("%\n"));
  EXPECT_FALSE(result.says(","));
  for (const char* words : {"runs/photos --checkpoint best", "runs/photos:4", "runs/photos:best",
                            "runs/photos/checkpoints/step-00000004"})
    EXPECT_EQ(room->run(std::string("predict ") + words + " photos/val/cat/0.png").output,
              room->run("predict runs/photos photos/val/cat/0.png").output)
        << words;
}

// The commands of docs/your-own-pictures.md do what the page says.
TEST_F(PredictCommand, DoesWhatThePageSays) {
  std::ifstream page(LOCKSTEP_SOURCE_DIR "/docs/your-own-pictures.md");
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  room->write("new.jpg", room->read("photos/val/cat/0.png"));
  const std::regex command("\n *lockstep (predict [^\n]+)"), object("`(\\{\"picture\".*\\})`"),
      line("\n *photos/val/cat/[0-9]+\\.jpg(: cat [0-9.]+%, dog [0-9.]+%)\n");
  std::string printed;
  int commands = 0;
  for (std::sregex_iterator found(text.begin(), text.end(), command), end; found != end; ++found) {
    const auto result = room->run((*found)[1]);
    EXPECT_EQ(result.exit_code, 0) << (*found)[1] << ": " << result.errors;
    printed += result.output;
    ++commands;
  }
  EXPECT_EQ(commands, 2);
  EXPECT_TRUE(std::regex_search(text, line));
  EXPECT_TRUE(std::regex_search(
      printed, std::regex("photos/val/cat/0\\.png: [a-z]+ [0-9]+\\.[0-9][0-9]%, [a-z]+ [0-9.]+%")));
  std::smatch shown;
  ASSERT_TRUE(std::regex_search(text, shown, object));
  Json expected = Json::parse(shown[1].str());
  Json got = Json::parse(printed.substr(printed.rfind("\n{") + 1));
  EXPECT_EQ(got["picture"], expected["picture"]);
  ASSERT_EQ(got["top"].size(), expected["top"].size());
  for (const auto& [key, value] : expected["top"][0].items())
    EXPECT_EQ(got["top"][0][key].type(), value.type()) << key;
  EXPECT_EQ(got["top"][0].size(), expected["top"][0].size());
}

TEST_F(PredictCommand, TellsOfBadPicturesAndGoesOn) {
  room->write("words.jpg", "no picture");
  room->write("cut.png", room->read("photos/val/cat/0.png").substr(0, 900));
  const auto result = room->run("predict runs/photos words.jpg cut.png photos/val/cat/0.png");
  EXPECT_EQ(result.exit_code, 65);
  EXPECT_TRUE(result.complains("error: words.jpg: offset 0: neither a JPEG nor a PNG file"))
      << result.errors;
  EXPECT_TRUE(result.complains("error: cut.png: ends too early")) << result.errors;
  EXPECT_TRUE(result.complains("2 of 3 pictures could not be classified")) << result.errors;
  EXPECT_TRUE(result.output.starts_with("photos/val/cat/0.png: ")) << result.output;
}

TEST_F(PredictCommand, SaysWhatIsWrong) {
  const auto expect = [&](const std::string& words, int code, const std::string& message) {
    const auto result = room->run("predict " + words);
    EXPECT_EQ(result.exit_code, code) << words << ": " << result.errors;
    EXPECT_TRUE(result.complains(message)) << words << ": " << result.errors;
    EXPECT_EQ(result.output, "");
  };
  const std::string picture = " photos/val/cat/0.png";
  expect("", 64, "name a run and pictures");
  expect("runs/photos", 64, "name a run and pictures");
  expect("runs/photos" + picture + " --top 0", 64, "--top must be at least 1");
  expect("job.cfg" + picture, 64, "is a job file; name its run's directory: runs/photos");
  expect("photos" + picture, 66,
         "photos is neither a run nor a checkpoint; did you mean runs/photos?");
  expect("photo" + picture, 66, "checkpoint photo does not exist");
  expect("runs/photos nothing.png", 66, "nothing.png: no such file or folder");
  expect("runs/photos" + picture + " --checkpoint 77", 66, "there are those of the steps 4");
  std::filesystem::create_directories(room->directory() / "empty");
  expect("runs/photos empty", 65, "empty: a folder without pictures");
}

TEST_F(PredictCommand, RefusesAPictureOfAnotherSizeWhereTrainingHadOne) {
  write_cifar(*room, "cifar", 4);
  const auto trained = room->run(
      "train job.cfg --set run.name=cifar --set data.source=cifar10 --set data.path=cifar "
      "--set data.height=0 --set data.width=0 --set augment.resize=0");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  const auto refused = room->run("predict runs/cifar photos/val/cat/0.png");
  EXPECT_EQ(refused.exit_code, 65);
  EXPECT_TRUE(refused.complains("a picture of 20 x 30 pixels; the network was trained on 32 x 32"))
      << refused.errors;
  room->write("right.png", png_file(32, 32, std::string(3 * 32 * 32, '\x50')));
  const auto right = room->run("predict runs/cifar right.png --json");
  EXPECT_EQ(right.exit_code, 0) << right.errors;
  EXPECT_EQ(Json::parse(right.output)["top"].size(), 5u);
}

TEST_F(PredictCommand, RefusesNetworksThatDoNotTakePictureFiles) {
  const auto trained = room->run(
      "train job.cfg --set run.name=bands --set data.source=synthetic --set data.channels=5 --set "
      "data.synthetic_samples=16 --set augment.resize=0");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  const auto refused = room->run("predict runs/bands photos/val/cat/0.png");
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_TRUE(refused.complains("was trained on pictures of 5 channels")) << refused.errors;
  const auto launched = room->run("launch -n 2 --threads 1 predict runs/photos photos/val/cat");
  EXPECT_EQ(launched.exit_code, 64);
  EXPECT_TRUE(launched.complains("it is one process; start it without a launcher"))
      << launched.errors;
}

TEST_F(PredictCommand, RefusesSegmentation) {
  const auto trained = room->run(
      "train job.cfg --set run.name=pixels --set data.source=synthetic_masks --set "
      "data.synthetic_samples=8 --set model.family=unet --set model.counts= --set "
      "model.widths=8,16 --set augment.resize=0 --set train.batch=8");
  ASSERT_EQ(trained.exit_code, 0) << trained.errors;
  const auto refused = room->run("predict runs/pixels photos/val/cat/0.png");
  EXPECT_EQ(refused.exit_code, 64);
  EXPECT_TRUE(refused.complains("lockstep eval JOB.cfg tells mean IoU")) << refused.errors;
}

TEST(Predict, MostLikelyAreInOrderAndSumToOne) {
  const std::vector<float> logits{1, 300, 300, -5};  // beyond what exp() can hold
  const auto likely = most_likely(logits, 9);
  ASSERT_EQ(likely.size(), 4u);
  EXPECT_EQ(likely[0].label, 1);  // of equal ones the smaller
  EXPECT_EQ(likely[1].label, 2);
  EXPECT_EQ(likely[3].label, 3);
  EXPECT_NEAR(likely[0].probability, 0.5, 1e-12);
}

}  // namespace
}  // namespace lockstep
