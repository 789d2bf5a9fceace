#include "coordinator/plan/switches.h"

#include <gtest/gtest.h>

#include "coordinator/plan/planner.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep {
namespace {

/// Names of the ops behind the gate `name`.
std::vector<std::string> behind(const Graph& graph, const std::string& name) {
  std::vector<std::string> found;
  const auto gates = gates_behind(graph);
  for (std::size_t i = 0; i < gates.size(); ++i)
    for (const OpId gate : gates[i])
      if (graph.op(gate).name == name) found.push_back(graph.ops()[i].name);
  return found;
}

Graph resnet(bool pre_activation) {
  return build_model({.family = "custom",
                      .stem = "cifar",
                      .block = "basic",
                      .pre_activation = pre_activation,
                      .conditional_skip = 0.4f,
                      .counts = {1, 1},
                      .widths = {16, 32}},
                     {3, 8, 8}, 10);
}

TEST(Switches, AreOfTheBranchAlone) {
  const Graph graph = resnet(false);
  EXPECT_EQ(behind(graph, "group2.block0.gate"),
            (std::vector<std::string>{"group2.block0.conv1", "group2.block0.norm1",
                                      "group2.block0.relu1", "group2.block0.conv2",
                                      "group2.block0.norm2", "group2.block0.gate"}));
}

/// A projection reads the first norm's activation too.
TEST(Switches, LeaveWhatTheShortcutReads) {
  const Graph graph = resnet(true);
  const auto found = behind(graph, "group2.block0.gate");
  EXPECT_EQ(found.front(), "group2.block0.conv1");
  EXPECT_EQ(found.back(), "group2.block0.gate");
}

/// The sums of a branch's first norm go with those of the projection's, and are sent for them; others are not sent.
TEST(Switches, LeaveOutMessagesThatNobodyReads) {
  const Graph graph = resnet(false);
  const cpu::CpuBackend backend(graph, {});
  const Plan plan = make_plan(graph, backend, {.max_images = 4});
  int left_out = 0, sent = 0;
  for (const PlanItem& item : plan.items) {
    const auto* message = std::get_if<Message>(&item.what);
    if (!message || message->kind != MessageKind::kAllReduceSums) continue;
    for (const Buffer& part : plan.buffers) {
      if (part.parent != message->buffer || !part.name.starts_with("group2.block0.norm")) continue;
      ++(message->gates.empty() ? sent : left_out);
    }
  }
  EXPECT_EQ(sent, 1 + 1);
  EXPECT_EQ(left_out, 1 + 1);
  EXPECT_TRUE(make_plan(graph, backend, {.training = false, .max_images = 4}).switches.empty());
}

TEST(Switches, CountHowOftenACallRuns) {
  const Graph graph = resnet(false);
  const auto gates = gates_behind(graph);
  EXPECT_EQ(share_of_steps(graph, gates.back()), 1);
  for (std::size_t i = 0; i < gates.size(); ++i) {
    if (graph.ops()[i].name != "group2.block0.conv2") continue;
    EXPECT_FLOAT_EQ(static_cast<float>(share_of_steps(graph, gates[i])), 0.6f);
  }
}

}  // namespace
}  // namespace lockstep
