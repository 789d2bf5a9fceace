// The model builder's graph, run by the twins, against PyTorch: graph and twins are right together.
#include "tests/golden/reference_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/golden/golden_nets.h"
#include "tests/layers/golden_model.h"
#include "tests/reference/adamw.h"
#include "tests/reference/sgd.h"

namespace lockstep {
namespace {

using reference::Tensor;

// eps, momentum and label smoothing reach the graph as floats; parameters after the first step and
// gradients are stored as floats.
constexpr double kTolerance = 2e-6;

double norm(const Tensor& t) {
  double sum = 0;
  for (double v : t.values) sum += v * v;
  return std::sqrt(sum);
}

/// Relative L2 difference.
double difference(const Tensor& found, const Tensor& golden) {
  if (found.dims != golden.dims) return INFINITY;
  Tensor diff = found;
  for (std::int64_t i = 0; i < diff.elements(); ++i) diff[i] -= golden[i];
  return norm(diff) / std::max(norm(golden), 1e-30);
}

class GoldenNet : public testing::TestWithParam<std::filesystem::path> {
 protected:
  GoldenNet() : file_(GetParam()), graph_(golden_graph(file_)), run_(graph_) {
    for (const Parameter& p : graph_.parameters())
      run_.parameters[p.name] = file_.tensor("parameter/" + p.name);
  }

  double forward(bool training) {
    return run_.forward(file_.tensor("input"), golden_labels(file_), training);
  }

  void update(const ReferenceGraph::Tensors& gradients, int t) {
    for (const Parameter& p : graph_.parameters()) {
      Tensor& value = run_.parameters[p.name];
      for (auto* slot : {&first_slot_, &second_slot_})
        if (slot->count(p.name) == 0) (*slot)[p.name] = reference::make_tensor(p.dims);
      const double rate = file_.number("learning_rate"),
                   decay = p.decay ? file_.number("weight_decay") : 0;
      if (file_.has_setting("optimizer"))
        reference::adamw_update(
            value, first_slot_[p.name], second_slot_[p.name], gradients.at(p.name), t,
            {rate, file_.number("beta1"), file_.number("beta2"), file_.number("eps"), decay});
      else
        reference::sgd_update(
            value, first_slot_[p.name], gradients.at(p.name),
            {rate, file_.number("momentum"), decay, file_.text("nesterov") == "true"});
    }
  }

  GoldenFile file_;
  Graph graph_;
  ReferenceGraph run_;
  ReferenceGraph::Tensors first_slot_, second_slot_;  // of the optimizer
};

TEST_P(GoldenNet, HasTheParametersOfTheGraph) {
  std::vector<std::string> names = file_.names("parameter/"), expected;
  for (const Parameter& p : graph_.parameters()) {
    expected.push_back(p.name);
    ASSERT_TRUE(file_.has("parameter/" + p.name)) << p.name;
    EXPECT_EQ(file_.tensor("parameter/" + p.name).dims, p.dims) << p.name;
  }
  std::sort(names.begin(), names.end());
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(names, expected);
  EXPECT_EQ(file_.names("statistic/").size(), graph_.statistics().size());
}

TEST_P(GoldenNet, FirstStep) {
  EXPECT_NEAR(forward(true), file_.tensor("loss")[0], kTolerance);
  EXPECT_LT(difference(run_.value(logits_of(graph_)), file_.tensor("logits")), kTolerance);
  for (const auto& [name, gradient] : run_.backward())
    EXPECT_LT(difference(gradient, file_.tensor("gradient/" + name)), kTolerance) << name;
  for (const auto& [name, statistic] : run_.statistics)
    EXPECT_LT(difference(statistic, file_.tensor(golden_statistic(name))), kTolerance) << name;
}

TEST_P(GoldenNet, TrainedAndEvaluated) {
  for (int step = 0; step < file_.integer("steps"); ++step) {
    EXPECT_NEAR(forward(true), file_.tensor("loss")[step], kTolerance) << "step " << step;
    update(run_.backward(), step + 1);
  }
  for (const auto& [name, parameter] : run_.parameters)
    EXPECT_LT(difference(parameter, file_.tensor("trained/" + name)), kTolerance) << name;
  forward(false);
  EXPECT_LT(difference(run_.value(logits_of(graph_)), file_.tensor("evaluation")), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Nets, GoldenNet, testing::ValuesIn(golden_nets()),
                         [](const auto& test) { return test.param.stem().string(); });

TEST(ReferenceGraph, RefusesWhatItCannotDraw) {
  Graph graph(Shape{2, 3, 3});
  graph.add("dropout", Dropout{0.5f}, {graph.input()});
  EXPECT_THROW(ReferenceGraph{graph}, std::invalid_argument);
}

}  // namespace
}  // namespace lockstep
