#include "coordinator/input_facts.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "coordinator/run_record.h"

namespace lockstep {
namespace {

const InputFacts kFacts{.input = {3, 32, 32},
                        .mean = {0.4914f, 0.4822f, 0.4465f},
                        .std = {0.25f},
                        .resize = 40,
                        .class_names = {"cat", "dog = 1\n2"}};

TEST(InputFacts, FillTheJob) {
  EXPECT_EQ(with_input_facts("[augment]\nmean =\nstd =\n[other]\nmean =\n", kFacts),
            "# classes, by label: cat, dog = 1?2\n# augment.mean and augment.std are those of this "
            "kind of data: the job does not say them\n[augment]\nmean = 0.4914, 0.4822, "
            "0.4465\nstd = 0.25\n[other]\nmean =\n");
  const std::string given = "[augment]\nmean = 0.1\nstd = 0.2\n";
  EXPECT_EQ(
      with_input_facts(given, {.input = {}, .mean = {0.1f}, .std = {0.2f}, .class_names = {}}),
      given);
  EXPECT_TRUE(has_filled_in(with_input_facts("[augment]\nmean =\nstd =\n", kFacts)));
  EXPECT_FALSE(has_filled_in(given));
}

TEST(InputFacts, AreInTheDetails) {
  const auto json = nlohmann::json::parse(details_with_input_facts(R"({"ranks":2})", kFacts));
  EXPECT_EQ(json["ranks"], 2);
  EXPECT_EQ(json["input"].dump(), "[3,32,32]");
  EXPECT_EQ(json["mean"].dump(), "[0.4914,0.4822,0.4465]");
  EXPECT_EQ(json["std"].dump(), "[0.25]");
  EXPECT_EQ(json["resize"], 40);
  EXPECT_EQ(json["class_names"][0], "cat");
}

TEST(InputFacts, ComeBackFromTheDetails) {
  const InputFacts facts = input_facts_of(details_with_input_facts("{}", kFacts));
  EXPECT_EQ(facts.input, kFacts.input);
  EXPECT_EQ(facts.mean, kFacts.mean);
  EXPECT_EQ(facts.std, kFacts.std);
  EXPECT_EQ(facts.resize, kFacts.resize);
  EXPECT_EQ(facts.class_names, kFacts.class_names);
  EXPECT_EQ(facts.classes, 2);
  EXPECT_EQ(input_facts_of("{\"mean\":\"?\"}").input.channels, 0);
  EXPECT_EQ(input_facts_of("torn").classes, 0);
}

TEST(InputFacts, TellWhichClassIsAnother) {
  const std::string umlaut = "\xE4";  // no UTF-8
  const InputFacts facts = input_facts_of(details_with_input_facts(
      "{}", {.input = {}, .mean = {}, .std = {}, .class_names = {"cat", umlaut}, .classes = 2}));
  EXPECT_EQ(class_change(facts, 2, {"cat", umlaut}), "");
  EXPECT_EQ(class_change(facts, 2, {}), "");
  EXPECT_EQ(class_change({}, 2, {"a", "b"}), "");
  EXPECT_EQ(class_change(facts, 2, {"dog", umlaut}),
            "label 0 is 'dog' in the data, 'cat' where the checkpoint was trained");
  EXPECT_EQ(class_change(facts, 3, {}), "the data has 3 classes, the checkpoint was trained on 2");
}

TEST(InputFacts, AreNoChangeSinceCheckpointsWithoutThem) {
  const auto details = [](const std::string& job) { return nlohmann::json{{"job", job}}.dump(); };
  const std::string before = "[augment]\nmean =\nstd =\n";
  EXPECT_TRUE(changes_since(details(before), details(with_input_facts(before, kFacts))).empty());
  EXPECT_EQ(
      changes_since(details("[augment]\nmean = 0.1\n"), details("[augment]\nmean = 0.2\n")).size(),
      1u);
}

}  // namespace
}  // namespace lockstep
