#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"
#include "tests/data/temp_folder.h"

namespace lockstep::testing {

/// A fresh directory, removed at the end, and checkpoints of a small made-up model in it.
class CheckpointTest : public ::testing::Test {
 protected:
  struct Tensor {
    std::string name;
    std::vector<std::int64_t> dims;
    std::vector<float> values;
  };

  /// Values depend on the step, so that one checkpoint is not taken for another.
  static std::vector<Tensor> make_tensors(std::int64_t step) {
    std::vector<Tensor> tensors = {
        {"parameters/stem.conv.weight", {4, 3, 3, 3}, {}},
        {"parameters/fc.bias", {10}, {}},
        {"momentum/stem.conv.weight", {4, 3, 3, 3}, {}},
        {"momentum/fc.bias", {10}, {}},
        {"statistics/stem.norm.mean", {4}, {}},
        {"statistics/stem.norm.var", {4}, {}},
        {"loss_scale", {}, {}},
        {"empty", {0, 3}, {}},
    };
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      std::int64_t elements = 1;
      for (const std::int64_t extent : tensors[t].dims) elements *= extent;
      for (std::int64_t i = 0; i < elements; ++i) {
        tensors[t].values.push_back(0.25f * static_cast<float>(i) +
                                    1000.0f * static_cast<float>(t) + static_cast<float>(step));
      }
    }
    return tensors;
  }

  static std::vector<std::vector<TensorView>> deal(const std::vector<Tensor>& tensors,
                                                   int writers) {
    std::vector<std::int64_t> bytes;
    for (const Tensor& t : tensors) bytes.push_back(static_cast<std::int64_t>(t.values.size() * 4));
    const std::vector<int> writer_of = deal_tensors(bytes, writers);
    std::vector<std::vector<TensorView>> dealt(static_cast<std::size_t>(writers));
    for (std::size_t t = 0; t < tensors.size(); ++t) {
      dealt[static_cast<std::size_t>(writer_of[t])].push_back(
          {tensors[t].name, tensors[t].dims, tensors[t].values});
    }
    return dealt;
  }

  static TrainingState make_state(std::int64_t step) {
    TrainingState state;
    state.step = step;
    state.epoch = 3;
    state.cursor = 12800;
    state.seed = 0xfedcba9876543210u;
    state.best_metric = 0.1 + 0.2;
    state.best_step = 800;
    state.details = R"({"schedule":{"kind":"cosine","lr":0.1},"grid":[2,1],"job":"a\nb"})";
    return state;
  }

  std::filesystem::path save(std::int64_t step, int writers = 2) {
    const auto directory = temporary_checkpoint_directory(checkpoints_, step);
    const std::vector<Tensor> tensors = make_tensors(step);
    std::vector<std::string> reports;
    for (const auto& share : deal(tensors, writers)) {
      reports.push_back(write_shard(directory, static_cast<int>(reports.size()), share));
    }
    return publish_checkpoint(checkpoints_, make_state(step), reports);
  }

  static void expect_good(const Checkpoint& checkpoint, std::int64_t step) {
    EXPECT_EQ(checkpoint.state().step, step);
    const std::vector<Tensor> tensors = make_tensors(step);
    EXPECT_EQ(checkpoint.names().size(), tensors.size());
    for (const Tensor& tensor : tensors) {
      ASSERT_TRUE(checkpoint.contains(tensor.name)) << tensor.name;
      EXPECT_EQ(checkpoint.dims(tensor.name), tensor.dims);
      std::vector<float> values(tensor.values.size(), -1.0f);
      checkpoint.read(tensor.name, values);
      EXPECT_EQ(values, tensor.values) << tensor.name;
    }
  }

  /// The message of the CheckpointError that opening it throws; empty if it opens.
  static std::string error_of_opening(const std::filesystem::path& directory) {
    try {
      Checkpoint::open(directory);
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "";
  }

  static std::string slurp(const std::filesystem::path& path) {
    return read_text_file(path, std::uint64_t{1} << 30);
  }
  static void spill(const std::filesystem::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  TempFolder folder_;
  std::filesystem::path root_ = folder_.path();
  std::filesystem::path checkpoints_ = root_ / "run" / "checkpoints";
};

}  // namespace lockstep::testing
