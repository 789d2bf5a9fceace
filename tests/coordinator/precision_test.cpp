// What train.precision comes to: on this CPU, and held to what older ones have.
#include <gtest/gtest.h>

#include <cstdlib>

#include "coordinator/engine.h"
#include "data/error.h"
#include "layers/cpu/instruction_set.h"

namespace lockstep {
namespace {

Graph small_net() {
  return build_model({.family = "custom", .counts = {1}, .widths = {16}}, {3, 8, 8}, 10);
}

std::string refusal(const Graph& graph) {
  try {
    choose_storage("bf16", graph);
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "";
}

TEST(Precision, IsWhatTheCpuIsFastIn) {
  const Graph graph = small_net();
  const cpu::Bf16Support support = cpu::bf16_support();
  EXPECT_EQ(choose_storage("f32", graph), Storage::kF32);
  EXPECT_EQ(choose_storage("auto", graph),
            support == cpu::Bf16Support::kTiles ? Storage::kBf16 : Storage::kF32);
  if (support == cpu::Bf16Support::kEmulated)
    EXPECT_NE(refusal(graph), "");
  else
    EXPECT_EQ(choose_storage("bf16", graph), Storage::kBf16);
}

TEST(Precision, Bf16IsRefusedWhereItWouldBeEmulated) {
  const char* before = std::getenv("ONEDNN_MAX_CPU_ISA");
  const std::string kept = before ? before : "";
  setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  const std::string text = refusal(small_net());
  const Storage automatic = choose_storage("auto", small_net());
  before ? setenv("ONEDNN_MAX_CPU_ISA", kept.c_str(), 1) : unsetenv("ONEDNN_MAX_CPU_ISA");
  EXPECT_NE(text.find("train.precision = bf16"), std::string::npos) << text;
  EXPECT_NE(text.find("emulation"), std::string::npos) << text;
  EXPECT_NE(text.find("use f32, or auto"), std::string::npos) << text;
  EXPECT_EQ(automatic, Storage::kF32);
}

TEST(Precision, Bf16IsRefusedWhereAGraphDoesNotAllowIt) {
  Graph images({16, 8, 8});  // read by a norm
  const ValueId normal = images.add("norm", BatchNorm{}, {images.input()});
  images.add("conv", Conv2d{.out_channels = 16}, {normal});
  EXPECT_NE(refusal(images), "");
  EXPECT_EQ(choose_storage("auto", images), Storage::kF32);
  Graph narrow({16, 1, 1});  // narrower than the stride: see Convolution
  narrow.add("conv", Conv2d{.out_channels = 16, .stride = 2}, {narrow.input()});
  EXPECT_NE(refusal(narrow), "");
  EXPECT_EQ(choose_storage("auto", narrow), Storage::kF32);
}

}  // namespace
}  // namespace lockstep
