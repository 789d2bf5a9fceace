#include "data/validate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

struct Sample {
  int label;
  std::uint8_t value;
};

/// 1 x 1 grey pictures, as given. A value of 255 cannot be decoded, 254 cannot be read.
class Given : public Dataset {
 public:
  Given(std::vector<Sample> samples, int classes)
      : Dataset(make_info(samples, classes)), samples_(std::move(samples)) {}
  int label(std::int64_t index) const override { return at(index).label; }
  std::vector<std::uint8_t> encoded(std::int64_t index) const override {
    if (at(index).value == 254) throw MissingFileError(where(index) + ": gone");
    if (at(index).value == 255) return {1, 2, 3};
    return {at(index).value};
  }
  std::string where(std::int64_t index) const override {
    return std::string("#").append(std::to_string(index));
  }

 private:
  const Sample& at(std::int64_t index) const { return samples_[static_cast<std::size_t>(index)]; }
  static DatasetInfo make_info(const std::vector<Sample>& samples, int classes) {
    DatasetInfo info;
    info.samples = static_cast<std::int64_t>(samples.size());
    info.channels = info.height = info.width = 1;
    info.classes = classes;
    return info;
  }
  std::vector<Sample> samples_;
};

bool mentions(const std::vector<std::string>& messages, const std::string& text) {
  return std::any_of(messages.begin(), messages.end(),
                     [&](const std::string& message) { return contains(message, text); });
}

TEST(Validate, AGoodDatasetHasNothingToReport) {
  const Given train({{0, 1}, {1, 2}, {0, 3}}, 2);
  const Given val({{0, 4}, {1, 5}}, 2);
  const DatasetReport report = validate(train, &val, {true, true, 2, 3});
  EXPECT_TRUE(report.good());
  EXPECT_TRUE(report.warnings.empty());
  EXPECT_EQ(report.train.samples, 3);
  EXPECT_EQ(report.train.class_counts, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(report.val.class_counts, (std::vector<std::int64_t>{1, 1}));
  ASSERT_EQ(report.train.mean.size(), 1u);
  EXPECT_NEAR(report.train.mean[0], 2.0 / 255, 1e-9);
  EXPECT_NEAR(report.train.std[0], std::sqrt(2.0 / 3) / 255, 1e-9);
}

TEST(Validate, FindsDuplicatesConflictsAndLeakage) {
  const Given train({{0, 1}, {1, 2}, {0, 1}, {1, 1}}, 2);
  const Given val({{0, 9}, {1, 2}, {0, 1}}, 2);
  const DatasetReport report = validate(train, &val, {});
  EXPECT_FALSE(report.good());
  EXPECT_EQ(report.train.duplicates, 2);
  EXPECT_EQ(report.train.conflicting, 1);
  EXPECT_EQ(report.val.duplicates, 0);
  EXPECT_EQ(report.leaked, 2);
  EXPECT_TRUE(mentions(report.warnings, "2 training samples occur again: #0 = #2; #0 = #3"));
  EXPECT_TRUE(mentions(report.warnings, "another label: #0 = #3"));
  EXPECT_TRUE(mentions(report.errors, "2 validation samples occur in training, 0 may; "));
  EXPECT_TRUE(mentions(report.errors, "(leakage): #1 = #1; #2 = #0"));
  ValidateOptions allowing;
  allowing.max_leaked = 2;
  EXPECT_TRUE(validate(train, &val, allowing).good());
  EXPECT_EQ(validate(train, &val, allowing).leaked, 2);
  ValidateOptions quick;
  quick.read = false;
  EXPECT_EQ(validate(train, &val, quick).leaked, 0);
}

TEST(Validate, FindsBadLabelsAndWhatCannotBeRead) {
  const Given train({{0, 1}, {2, 2}, {-1, 3}, {0, 254}, {1, 255}}, 2);
  const DatasetReport quick = validate(train, nullptr, {true, false, 1, 1});
  EXPECT_FALSE(quick.good());
  EXPECT_EQ(quick.train.bad_labels, 2);
  EXPECT_EQ(quick.train.unreadable, 1);
  EXPECT_TRUE(mentions(quick.errors, "2 training labels are outside 0 to 1: #1 (label 2); ..."));
  EXPECT_TRUE(mentions(quick.errors, "1 training samples cannot be read: #3: gone"));
  const DatasetReport thorough = validate(train, nullptr, {true, true, 1, 3});
  EXPECT_EQ(thorough.train.unreadable, 2);
  EXPECT_TRUE(mentions(thorough.errors, "#4: a raw picture"));
}

TEST(Validate, SplitsMustAgree) {
  const Given train({{0, 1}, {1, 2}}, 2);
  const Given val({{0, 3}}, 3);
  EXPECT_TRUE(mentions(validate(train, &val, {}).errors, "2 classes, validation 3"));
  const Given none({}, 2);
  EXPECT_TRUE(mentions(validate(none, nullptr, {}).errors, "training has no samples"));
}

TEST(Validate, WarnsOfMissingAndUnevenClasses) {
  const Given missing({{0, 1}, {0, 2}}, 2);
  EXPECT_TRUE(
      mentions(validate(missing, nullptr, {}).warnings, "1 classes have no sample, e.g. class 1"));
  std::vector<Sample> many;
  for (std::uint8_t i = 0; i < 22; ++i) many.push_back({0, i});
  many.push_back({1, 100});
  many.push_back({1, 101});
  EXPECT_TRUE(
      mentions(validate(Given(many, 2), nullptr, {}).warnings, "uneven: 22 of class 0, 2 of"));
}

TEST(UnevenClasses, ByTheLargestShareAndByTheRatioToTheSmallest) {
  using Counts = std::vector<std::int64_t>;
  const std::vector<std::string> names{"cat", "dog", "owl"};
  const BalanceLimits limits;
  EXPECT_EQ(uneven_classes(Counts{75, 25}, names, limits),
            "classes are uneven: 75 of cat, 25 of dog (75% of all are in one class, 70% may be)");
  EXPECT_EQ(uneven_classes(Counts{48, 8, 8}, names, limits),
            "classes are uneven: 48 of cat, 8 of dog (75% of all are in one class, 70% may be)");
  EXPECT_EQ(uneven_classes(Counts{4, 50, 46}, names, limits),
            "classes are uneven: 50 of dog, 4 of cat (12.5 times as many, 10 times may be)");
  for (const Counts& even :
       {Counts{70, 30}, Counts{30, 60, 200}, Counts{0, 0}, Counts{5}, Counts{}})
    EXPECT_EQ(uneven_classes(even, {}, limits), "");
  EXPECT_EQ(uneven_classes(Counts{75, 25}, names, {.max_share = 0.8}), "");
  EXPECT_NE(uneven_classes(Counts{75, 25}, {}, {.max_share = 0.8, .max_ratio = 2}), "");
  EXPECT_EQ(class_warnings(Counts{9, 0, 1}, names, limits).size(), 2u);  // no dog, and uneven
}

TEST(ClassSkew, IsTheShareOfTheWrongClass) {
  const std::vector<std::int64_t> whole{100, 100};
  EXPECT_DOUBLE_EQ(class_skew(std::vector<std::int64_t>{5, 5}, whole), 0);
  EXPECT_DOUBLE_EQ(class_skew(std::vector<std::int64_t>{10, 0}, whole), 0.5);
  EXPECT_DOUBLE_EQ(class_skew(std::vector<std::int64_t>{0, 0}, whole), 0);
}

TEST(Validate, TellsWhatWasPassedOver) {
  const TempFolder folder;
  folder.write("cat/a.jpg", {});
  folder.write("cat/b.webp", {});
  const auto dataset = open_dataset({.source = "folder", .path = folder.path()});
  EXPECT_TRUE(
      mentions(validate(*dataset, nullptr, {}).warnings, "training: files that are neither"));
}

}  // namespace
}  // namespace lockstep
