// The kept files of the nets hold together: names, dims, and the loss that their logits give.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/golden/golden_nets.h"
#include "tests/reference/classifier.h"
#include "tests/reference/finite_difference.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using reference::Tensor;

TEST(NetFiles, ThereAreEnough) { EXPECT_GE(golden_nets().size(), 9u); }

TEST(NetFiles, EveryParameterHasAGradientAndItsTrainedValue) {
  for (const fs::path& path : golden_nets()) {
    const GoldenFile file(path);
    const std::vector<std::string> names = file.names("parameter/");
    EXPECT_EQ(names.back(), "fc.bias") << path;
    EXPECT_EQ(file.names("gradient/"), names) << path;
    EXPECT_EQ(file.names("trained/"), names) << path;
    for (const std::string& name : names) {
      const auto& dims = file.tensor("parameter/" + name).dims;
      EXPECT_EQ(file.tensor("gradient/" + name).dims, dims) << path << ' ' << name;
      EXPECT_EQ(file.tensor("trained/" + name).dims, dims) << path << ' ' << name;
    }
    EXPECT_EQ(file.names("statistic/").empty(),
              file.text("norm") != "batch" && !file.has_setting("hybrid"))
        << path;
  }
}

TEST(NetFiles, DimsAreThoseOfTheSettings) {
  for (const fs::path& path : golden_nets()) {
    const GoldenFile file(path);
    const std::int64_t batch = file.integer("batch"), image = file.integer("image");
    EXPECT_EQ(file.tensor("input").dims,
              (std::vector<std::int64_t>{batch, file.integer("channels"), image, image}));
    std::vector<std::int64_t> logits{batch, file.integer("classes")};
    if (file.tensor("labels").dims.size() == 3) logits.insert(logits.end(), {image, image});
    EXPECT_EQ(file.tensor("logits").dims, logits);
    EXPECT_EQ(file.tensor("evaluation").dims, file.tensor("logits").dims);
    EXPECT_EQ(file.tensor("loss").elements(), file.integer("steps"));
    EXPECT_EQ(file.integers("counts").size(), file.integers("widths").size());
  }
}

TEST(NetFiles, LossIsThatOfTheLogits) {
  for (const fs::path& path : golden_nets()) {
    const GoldenFile file(path);
    const std::vector<int> labels = golden_labels(file);
    const auto all = static_cast<double>(labels.size());
    const auto labelled = static_cast<double>(
        std::count_if(labels.begin(), labels.end(), [](int label) { return label >= 0; }));
    const auto loss_of = file.tensor("labels").dims.size() == 3 ? reference::pixel_cross_entropy
                                                                : reference::softmax_cross_entropy;
    const reference::CrossEntropy twin =
        loss_of(file.tensor("logits"), labels, file.number("label_smoothing"), all);
    EXPECT_NEAR(twin.loss * all / labelled, file.tensor("loss")[0], 1e-12) << path;

    Tensor bias = reference::make_tensor({file.integer("classes")});
    const std::int64_t pixels = twin.diff_src.elements() / (twin.diff_src.dim(0) * bias.elements());
    for (std::int64_t i = 0; i < twin.diff_src.elements(); ++i)
      bias[i / pixels % bias.elements()] += twin.diff_src[i];
    EXPECT_LT(reference::relative_difference(bias, file.tensor("gradient/fc.bias")), 1e-4) << path;
  }
}

TEST(NetFiles, TrainingMovedEveryParameter) {
  for (const fs::path& path : golden_nets()) {
    const GoldenFile file(path);
    for (const std::string& name : file.names("parameter/"))
      EXPECT_NE(file.tensor("parameter/" + name).values, file.tensor("trained/" + name).values)
          << path << ' ' << name;
  }
}

}  // namespace
}  // namespace lockstep
