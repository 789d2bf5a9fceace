#include <gtest/gtest.h>

#include "data/dataset.h"
#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Records whose planes are label + 0, 1, 2 in the first pixel and 100, 101, 102 elsewhere.
Bytes records(const std::vector<Bytes>& labels) {
  Bytes file;
  for (const Bytes& label : labels) {
    file.insert(file.end(), label.begin(), label.end());
    for (int plane = 0; plane < 3; ++plane) {
      file.push_back(static_cast<std::uint8_t>(label.back() + plane));
      file.insert(file.end(), 1023, static_cast<std::uint8_t>(100 + plane));
    }
  }
  return file;
}

std::unique_ptr<Dataset> open(const TempFolder& folder, const std::string& source,
                              const std::string& split) {
  DatasetOptions options;
  options.source = source;
  options.path = folder.path();
  options.split = split;
  return open_dataset(options);
}

void write_cifar10(const TempFolder& folder, const std::string& inside = "") {
  for (int i = 1; i <= 5; ++i) {
    const auto label = static_cast<std::uint8_t>(i);
    folder.write(inside + "data_batch_" + std::to_string(i) + ".bin", records({{label}, {9}}));
  }
}

TEST(Cifar10, ReadsFiveFilesInOrderAndInterleavesThePlanes) {
  const TempFolder folder;
  write_cifar10(folder);
  const auto dataset = open(folder, "cifar10", "train");
  EXPECT_EQ(dataset->size(), 10);
  EXPECT_EQ(dataset->info().classes, 10);
  EXPECT_EQ(dataset->label(4), 3);
  EXPECT_EQ(dataset->label(5), 9);
  Image image;
  dataset->read(4, image);
  ASSERT_EQ(image.pixels.size(), 3072u);
  EXPECT_EQ(Bytes(image.pixels.begin(), image.pixels.begin() + 6), (Bytes{3, 4, 5, 100, 101, 102}));
  EXPECT_EQ(dataset->encoded(4), image.pixels);
  EXPECT_EQ(dataset->where(5), folder.path() + "/data_batch_3.bin, offset 3073");
}

TEST(Cifar10, FindsTheFolderOfTheArchiveAndTheNames) {
  const TempFolder folder;
  folder.write("cifar-10-batches-bin/test_batch.bin", records({{7}}));
  const std::string names =
      "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
  folder.write("cifar-10-batches-bin/batches.meta.txt", Bytes(names.begin(), names.end()));
  const auto dataset = open(folder, "cifar10", "val");
  EXPECT_EQ(dataset->size(), 1);
  EXPECT_EQ(dataset->info().class_names.at(7), "horse");
}

TEST(Cifar100, TakesTheFineLabel) {
  const TempFolder folder;
  folder.write("train.bin", records({{19, 99}, {3, 0}}));
  const auto dataset = open(folder, "cifar100", "train");
  EXPECT_EQ(dataset->info().classes, 100);
  EXPECT_EQ(dataset->label(0), 99);
  EXPECT_EQ(dataset->encoded(1)[1], 1);
}

TEST(Cifar, RefusesWhatIsCutMislabelledOrMissing) {
  const TempFolder folder;
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { open(folder, "cifar10", "val"); }),
                       "test_batch.bin"));
  write_cifar10(folder);
  Bytes cut = records({{1}, {2}});
  cut.pop_back();
  folder.write("data_batch_4.bin", cut);
  std::string message = message_of<DataError>([&] { open(folder, "cifar10", "train"); });
  EXPECT_TRUE(contains(message, "data_batch_4.bin") && contains(message, "offset 6145")) << message;
  folder.write("data_batch_4.bin", records({{1}, {10}}));
  message = message_of<DataError>([&] { open(folder, "cifar10", "train"); });
  EXPECT_TRUE(contains(message, "offset 3073: label 10")) << message;
  folder.write("data_batch_4.bin", {});
  message = message_of<DataError>([&] { open(folder, "cifar10", "train"); });
  EXPECT_TRUE(contains(message, "offset 0")) << message;
  std::filesystem::remove(folder.path() + "/data_batch_4.bin");
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { open(folder, "cifar10", "train"); }),
                       "data_batch_4.bin"));
}

}  // namespace
}  // namespace lockstep
