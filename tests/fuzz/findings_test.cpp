// What fuzzing found (README.md), each as one small file.
#include <gtest/gtest.h>

#include <limits>

#include "data/dataset.h"
#include "data/error.h"
#include "data/image_file.h"
#include "layers/model.h"
#include "tests/data/temp_folder.h"
#include "tests/fuzz/campaign.h"
#include "tests/fuzz/pictures.h"

namespace lockstep::fuzz {
namespace {

/// Members of a gzip file follow one another: a few KiB of file for every 16 MiB.
TEST(Findings, GzipThatUnpacksToManyTimesItsSizeIsRefused) {
  const std::string member = deflate_bytes(std::string(std::size_t{16} << 20, '\0'), true);
  std::string file;
  for (int i = 0; i < 20; ++i) file += member;
  const TempFolder folder;
  folder.write("train-images-idx3-ubyte.gz", {file.begin(), file.end()});
  folder.write("train-labels-idx1-ubyte", {0, 0, 8, 1, 0, 0, 0, 1, 0});
  const std::string message =
      message_of<DataError>([&] { open_dataset({.source = "idx", .path = folder.path()}); });
  EXPECT_TRUE(contains(message, "train-images-idx3-ubyte.gz: longer than")) << message;
}

TEST(Findings, PngWhoseTextUnpacksToManyTimesItsSizeIsRefused) {
  const auto decode = [](std::size_t text_bytes) {
    const std::string text = deflate_bytes(std::string(text_bytes, 'a'), false);
    const std::string file = png_with({{"zTXt", std::string("a\0\0", 3) + text}}, 2, false);
    Image image;
    decode_image_file({reinterpret_cast<const std::uint8_t*>(file.data()), file.size()}, image);
    return image.pixels.size();
  };
  EXPECT_EQ(decode(1000), 3u);
  EXPECT_TRUE(contains(message_of<DataError>([&] { decode(std::size_t{80} << 20); }), "PNG"));
}

/// The valid depths around it are beyond what an int holds.
TEST(Findings, TheLargestDepthIsRefusedWithTheValidOnesAround) {
  const auto refusal = [](const char* family) {
    return message_of<ConfigError>([&] {
      build_model({.family = family, .depth = std::numeric_limits<int>::max()}, Shape{3, 64, 64},
                  10);
    });
  };
  EXPECT_TRUE(contains(refusal("preact"), "2147483642, 2147483648, 2147483654"))
      << refusal("preact");
  EXPECT_TRUE(contains(refusal("wide"), "2147483644, 2147483650")) << refusal("wide");
}

TEST(Input, ReadsBackFromItsBytes) {
  const Input input{5, {"one", "", "three"}};
  const auto parse = [](const std::string& bytes) {
    return parse_input({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, 3);
  };
  const std::string bytes = to_bytes(input);
  EXPECT_EQ(parse(bytes).mode, 5);
  EXPECT_EQ(parse(bytes).files, input.files);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(parse(bytes.substr(0, cut)).files.size(), 3u);
  }
}

/// A format that does what must not happen, to see that each is found.
class BadFormat : public Format {
 public:
  BadFormat() : Format("bad", 1, 1, {std::uint64_t{1} << 20, 1}) {
    for (const char* kind :
         {"good", "refused", "crash", "hang", "memory", "untyped", "internal", "finding"}) {
      kinds_.push_back(kind);
    }
    originals_ = {{0, {"x"}}};
  }
  void read(const Input&, const std::filesystem::path&) const override {
    const std::string& kind = kinds_[next_++ % kinds_.size()];
    if (kind == "refused") throw DataError("no");
    if (kind == "crash") abort();
    if (kind == "hang") {
      const volatile bool forever = true;
      while (forever) {
      }
    }
    if (kind == "memory")
      taken_.assign(std::size_t{700} << 20, 'x');  // more than sanitizers may add
    if (kind == "untyped") throw std::out_of_range("map::at");
    if (kind == "internal") throw InternalError("bug");
    if (kind == "finding") throw Finding("other content");
  }

  std::vector<std::string> kinds_;
  mutable std::size_t next_ =
      0;  // of the child: counts from where the parent was when it started it
  mutable std::string taken_;
};

TEST(Campaign, FindsWhatMustNotHappen) {
  const TempFolder folder;
  BadFormat format;
  const auto run = [&](std::size_t first) {
    format.next_ = first;
    CampaignOptions options{.mutations = 1, .seconds = 1, .keep = folder.path()};
    options.first = static_cast<std::uint32_t>(first);
    return run_campaign(format, options, folder.path());
  };
  EXPECT_EQ(run(0).accepted, 1u);
  EXPECT_EQ(run(1).refused, 1u);
  const char* expected[] = {"Aborted",        "takes too long", "memory",
                            "without a type", "internal error", "other content"};
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    const CampaignResult result = run(2 + i);
    ASSERT_EQ(result.findings.size(), 1u) << expected[i];
    EXPECT_TRUE(contains(result.findings[0], expected[i])) << result.findings[0];
    EXPECT_TRUE(std::filesystem::exists(folder.path() + "/bad-1-" + std::to_string(2 + i)));
  }
}

}  // namespace
}  // namespace lockstep::fuzz
