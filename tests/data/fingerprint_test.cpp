#include "data/fingerprint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "data/error.h"
#include "data/memory_dataset.h"
#include "data/packed.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::uint8_t>;
using Phrases = std::vector<std::string>;

/// Grey pictures of 2 x 2, of classes "cat" and "dog".
std::unique_ptr<Dataset> in_memory(Bytes pixels, Bytes labels) {
  DatasetInfo info;
  info.source = "idx";
  info.path = "somewhere";
  info.split = "train";
  info.channels = 1;
  info.height = info.width = 2;
  info.classes = 2;
  info.class_names = {"cat", "dog"};
  info.samples = static_cast<std::int64_t>(labels.size());
  return std::make_unique<MemoryDataset>(info, std::move(pixels), std::move(labels),
                                         std::vector<SampleFile>{});
}

const Bytes kPixels{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, kLabels{0, 1, 1};

Phrases differences(const Dataset& before, const Dataset& now) {
  return lockstep::differences(fingerprint_of(before), fingerprint_of(now));
}

/// A folder of files of these names, written in their order; no pictures, but nobody decodes them.
std::unique_ptr<Dataset> in_folder(const TempFolder& folder,
                                   const std::vector<std::pair<std::string, Bytes>>& files) {
  for (const auto& [name, bytes] : files) folder.write(name, bytes);
  return open_dataset({.source = "folder", .path = folder.path()});
}

const std::vector<std::pair<std::string, Bytes>> kFiles{{"train/cat/a.png", {1}},
                                                        {"train/cat/b.png", {2, 3}},
                                                        {"train/dog/c.png", {4}},
                                                        {"train/dog/sub/d.png", {5}}};

TEST(DataFingerprint, StaysTheSameFromVersionToVersion) {
  // Computed apart from this program, with Python's xxhash.
  EXPECT_EQ(
      to_json_text(fingerprint_of(*in_memory(kPixels, kLabels))),
      R"({"source":"idx","samples":3,"classes":2,"class_names":["cat","dog"],"class_counts":[1,2],)"
      R"("labels":"f371d0bd6f070a5c543a2bf5f8f4ad7a","files":"","content":"f2353f45e1ea3dae33062c6e392e6159",)"
      R"("content_samples":3,"all_content":"f2353f45e1ea3dae33062c6e392e6159"})");
  const TempFolder folder;
  EXPECT_EQ(
      to_json_text(fingerprint_of(*in_folder(folder, kFiles))),
      R"({"source":"folder","samples":4,"classes":2,"class_names":["cat","dog"],"class_counts":[2,2],)"
      R"("labels":"24215e338636713d810ebfd81e7bb987","files":"59f60efe783d5e51ab697ea29aba5a0a",)"
      R"("content":"6caa7f723b2e306f558e0e4f58c10ac1","content_samples":4,"all_content":""})");
}

TEST(DataFingerprint, DependsNeitherOnPlaceNorOnOrderOfListing) {
  const TempFolder one, other;
  auto reversed = kFiles;
  std::ranges::reverse(reversed);
  EXPECT_EQ(to_json_text(fingerprint_of(*in_folder(one, kFiles))),
            to_json_text(fingerprint_of(*in_folder(other, reversed))));
}

TEST(DataFingerprint, OfMasksKnowsBothFiles) {
  const TempFolder one, other;
  const auto open = [](const std::string& path) {
    return open_dataset({.source = "masks", .path = path, .classes = 2});
  };
  for (const TempFolder* folder : {&one, &other}) {
    folder->write("train/images/a.png", {1, 2});
    folder->write("train/masks/a.png", {3});
  }
  const DataFingerprint before = fingerprint_of(*open(one.path()));
  EXPECT_EQ(to_json_text(before), to_json_text(fingerprint_of(*open(other.path() + "/"))));
  EXPECT_EQ(before.labels, "");
  other.write("train/masks/a.png", {4});
  EXPECT_EQ(lockstep::differences(before, fingerprint_of(*open(other.path()))),
            Phrases{"other content, in the 1 samples that are looked at"});
  other.write("train/masks/a.png", {3, 4});
  EXPECT_EQ(lockstep::differences(before, fingerprint_of(*open(other.path()))).front(),
            "other names or sizes of files");
}

TEST(DataFingerprint, SaysWhatIsDifferent) {
  const auto before = in_memory(kPixels, kLabels);
  EXPECT_EQ(differences(*before, *in_memory(kPixels, kLabels)), Phrases{});
  EXPECT_EQ(differences(*before, *in_memory(Bytes(kPixels.begin(), kPixels.end() - 4), {0, 1})),
            Phrases{"2 samples, before 3"});
  EXPECT_EQ(differences(*before, *in_memory(kPixels, {0, 0, 1})),
            Phrases{"other labels: 2 samples of 'cat', before 1, 1 samples of 'dog', before 2"});
  EXPECT_EQ(differences(*before, *in_memory(kPixels, {1, 0, 1})),
            Phrases{"other labels: as many of each class, of other samples"});
  Bytes pixels = kPixels;
  ++pixels[7];
  EXPECT_EQ(differences(*before, *in_memory(pixels, kLabels)), Phrases{"other content of samples"});
  DataFingerprint now = fingerprint_of(*before);
  now.class_names[1] = "fox";
  EXPECT_EQ(lockstep::differences(fingerprint_of(*before), now),
            Phrases{"label 1 is 'fox', before 'dog'"});
  now.classes = 3;
  now.source = "cifar10";
  EXPECT_EQ(lockstep::differences(fingerprint_of(*before), now),
            (Phrases{"data of the source cifar10, before idx", "3 classes, before 2"}));
}

TEST(DataFingerprint, OfAFolderKnowsNamesSizesAndContent) {
  const TempFolder folder;
  const DataFingerprint before = fingerprint_of(*in_folder(folder, kFiles));
  const auto now = [&] {
    return fingerprint_of(*open_dataset({.source = "folder", .path = folder.path()}));
  };
  const Phrases content{"other content, in the 4 samples that are looked at"};
  folder.write("train/cat/b.png", {2, 9});
  EXPECT_EQ(lockstep::differences(before, now()), content);
  folder.write("train/cat/b.png", {2, 3, 4});
  EXPECT_EQ(lockstep::differences(before, now()),
            (Phrases{"other names or sizes of files", content.front()}));
  folder.write("train/cat/b.png", {2, 3});
  EXPECT_EQ(lockstep::differences(before, now()), Phrases{});
  std::filesystem::rename(folder.path() + "/train/cat/b.png", folder.path() + "/train/cat/e.png");
  EXPECT_EQ(lockstep::differences(before, now()), Phrases{"other names or sizes of files"});

  const auto opened = open_dataset({.source = "folder", .path = folder.path()});
  std::filesystem::remove(folder.path() + "/train/dog/c.png");
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { fingerprint_of(*opened); }),
                       "train/dog/c.png: does not exist"));
}

TEST(DataFingerprint, APackedFileIsTheDataThatItWasMadeOf) {
  const TempFolder folder, packed;
  const auto pack = [&](const Dataset& set, const std::string& name) {
    const Dataset* const splits[] = {&set};
    pack_dataset(splits, packed.path() + "/" + name, nullptr);
    return open_dataset({.source = "packed", .path = packed.path() + "/" + name});
  };
  const auto raw = in_memory(kPixels, kLabels), files = in_folder(folder, kFiles);
  const auto of_raw = pack(*raw, "raw.h5"), of_files = pack(*files, "files.h5");
  EXPECT_EQ(to_json_text(fingerprint_of(*raw)), to_json_text(fingerprint_of(*of_raw)));
  EXPECT_EQ(differences(*files, *of_files), Phrases{});
  folder.write("train/cat/a.png", {7});
  EXPECT_EQ(differences(*files, *of_files),
            Phrases{"other content, in the 4 samples that are looked at"});
}

/// Many files that are not there: all but one of them have a size.
class ManyFiles : public Dataset {
 public:
  explicit ManyFiles(std::int64_t samples, std::int64_t missing = -1)
      : Dataset(info_of(samples)), missing_(missing) {}
  int label(std::int64_t index) const override { return static_cast<int>(index % 2); }
  Bytes encoded(std::int64_t index) const override { return Bytes(encoded_bytes(index), 1); }
  std::string file_name(std::int64_t index) const override { return std::to_string(index); }
  std::uint64_t encoded_bytes(std::int64_t index) const override {
    if (index == missing_) throw MissingFileError("no " + std::to_string(index));
    return static_cast<std::uint64_t>(index % 7);
  }

 private:
  static DatasetInfo info_of(std::int64_t samples) {
    DatasetInfo info;
    info.format = SampleFormat::kImageFile;
    info.classes = 2;
    info.samples = samples;
    return info;
  }
  std::int64_t missing_;
};

TEST(DataFingerprint, LooksAtSomeOfManyFiles) {
  const DataFingerprint many = fingerprint_of(ManyFiles(10000));
  EXPECT_EQ(many.content_samples, 256);
  EXPECT_EQ(many.all_content, "");
  EXPECT_EQ(many.class_counts, (std::vector<std::int64_t>{5000, 5000}));
  // whatever its threads do
  EXPECT_EQ(to_json_text(many), to_json_text(fingerprint_of(ManyFiles(10000))));
  EXPECT_EQ(message_of<MissingFileError>([] { fingerprint_of(ManyFiles(10000, 9999)); }),
            "no 9999");
}

TEST(DataFingerprint, SyntheticDataHaveNoContent) {
  const auto with_seed = [](std::uint64_t seed) {
    return fingerprint_of(*open_dataset({.source = "synthetic", .synthetic_seed = seed}));
  };
  EXPECT_EQ(with_seed(1).content, "");
  EXPECT_EQ(to_json_text(with_seed(1)), to_json_text(with_seed(2)));
}

TEST(DataFingerprint, ComesBackFromItsText) {
  DataFingerprint fingerprint = fingerprint_of(*in_memory(kPixels, kLabels));
  const auto back = parse_fingerprint(to_json_text(fingerprint));
  ASSERT_TRUE(back);
  EXPECT_EQ(to_json_text(*back), to_json_text(fingerprint));
  for (const char* text : {"", "{}", "[1]", "{\"source\": 1}", "null"})
    EXPECT_FALSE(parse_fingerprint(text)) << text;
}

}  // namespace
}  // namespace lockstep
