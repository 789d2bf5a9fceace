#include "coordinator/data_record.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "data/fingerprint.h"

namespace lockstep {
namespace {

std::string record(std::int64_t train, std::int64_t val) {
  nlohmann::json json;
  json["train"] =
      nlohmann::json::parse(to_json_text({.source = "idx", .samples = train, .classes = 2}));
  if (val > 0)
    json["val"] =
        nlohmann::json::parse(to_json_text({.source = "idx", .samples = val, .classes = 2}));
  return json.dump();
}

TEST(DataRecord, SaysWhichSplitHasChanged) {
  EXPECT_TRUE(data_changes(record(60, 10), record(60, 10)).empty());
  EXPECT_EQ(data_changes(record(60, 10), record(54, 12)),
            (std::vector<std::string>{"training data: 54 samples, before 60",
                                      "validation data: 12 samples, before 10"}));
  EXPECT_TRUE(data_changes(record(60, 10), record(60, 0)).empty());  // does not validate any more
  EXPECT_TRUE(data_changes("", record(60, 10)).empty());
  EXPECT_TRUE(data_changes("{\"train\": 1}", record(60, 10)).empty());
}

TEST(DataRecord, IsInTheDetails) {
  const std::string details =
      nlohmann::json{{"data", nlohmann::json::parse(record(60, 10))}}.dump();
  EXPECT_TRUE(data_changes(data_record_of(details), record(60, 10)).empty());
  EXPECT_EQ(data_changes(data_record_of(details), record(61, 10)).size(), 1u);
  EXPECT_EQ(data_record_of("{}"), "");
  EXPECT_EQ(data_record_of("torn"), "");
}

}  // namespace
}  // namespace lockstep
