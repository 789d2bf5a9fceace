// The executor against PyTorch in float64 (tests/golden/README.md): every net, in every layout that
// its channels and this CPU allow, by 1, 2 and 3 lanes, on one rank and on several.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tests/coordinator/engine_run.h"
#include "tests/golden/golden_nets.h"
#include "tests/layers/golden_model.h"

namespace lockstep {
namespace {

constexpr double kLogits = 1e-5, kGradient = 1e-3, kStatistic = 1e-5, kTrained = 1e-4;

/// The largest differences from one file, over layouts and lanes.
struct Worst {
  double logits = 0, loss = 0, gradient = 0, statistic = 0, trained = 0, evaluation = 0;
};

EngineOptions options_of(const GoldenFile& file, const Communicator& group, LayoutKind layout,
                         int lanes) {
  EngineOptions options = engine_options(group, file.integer("batch"), lanes, layout);
  options.sgd = {.momentum = static_cast<float>(file.number("momentum")),
                 .weight_decay = static_cast<float>(file.number("weight_decay")),
                 .nesterov = file.text("nesterov") == "true"};
  return options;
}

/// One net on one engine.
class GoldenRun {
 public:
  GoldenRun(const GoldenFile& file, const Communicator& group, LayoutKind layout, int lanes)
      : file_(file),
        group_(group),
        layout_(layout),
        engine_(golden_graph(file), options_of(file, group, layout, lanes), group),
        batch_{file.tensor("input"), golden_labels(file)} {
    engine_.state().initialize(0);
    const auto& parameters = engine_.graph().parameters();
    for (std::size_t p = 0; p < parameters.size(); ++p)
      std::ranges::copy(file.tensor("parameter/" + parameters[p].name).values,
                        parameter(p, engine_.state().parameters()).begin());
  }

  void check_all(Worst& worst) {
    check_logits(engine_.estimator(), "logits", worst.logits);
    const int steps = file_.integer("steps");
    for (int step = 0; step < steps; ++step) {
      const double loss = run_step(
          engine_.trainer(), layout_, group_, batch_,
          {.step = step, .learning_rate = static_cast<float>(file_.number("learning_rate"))});
      const double off = std::abs(loss - file_.tensor("loss")[step]);
      EXPECT_LT(off, kLogits) << "step " << step;
      worst.loss = std::max(worst.loss, off);
      if (step > 0) continue;
      check_parameters("gradient/", engine_.state().gradients(), kGradient, worst.gradient);
      check_statistics(worst.statistic);
    }
    check_parameters("trained/", engine_.state().parameters(), kTrained, worst.trained);
    check_logits(engine_.evaluator(), "evaluation", worst.evaluation);
  }

 private:
  std::span<float> parameter(std::size_t id, std::span<float> segment) {
    return engine_.state().parameter(static_cast<ParameterId>(id), segment);
  }

  void check_parameters(const std::string& prefix, std::span<float> segment, double bound,
                        double& worst) {
    const auto& parameters = engine_.graph().parameters();
    for (std::size_t p = 0; p < parameters.size(); ++p) {
      const std::string name = prefix + parameters[p].name;
      const double off = difference(parameter(p, segment), file_.tensor(name).values);
      EXPECT_LT(off, bound) << name;
      worst = std::max(worst, off);
    }
  }

  void check_statistics(double& worst) {
    const auto& statistics = engine_.graph().statistics();
    for (std::size_t s = 0; s < statistics.size(); ++s) {
      const double off = difference(engine_.state().statistic(static_cast<int>(s)),
                                    file_.tensor(golden_statistic(statistics[s].name)).values);
      EXPECT_LT(off, kStatistic) << statistics[s].name;
      worst = std::max(worst, off);
    }
  }

  /// This rank's rows of the logits, of a forward that changes nothing.
  void check_logits(Executor& executor, const std::string& name, double& worst) {
    run_step(executor, layout_, group_, batch_, {.update_running = false});
    const Positions mine = part_of({0, batch_.count()}, group_.rank(), group_.size());
    const std::vector<double>& all = file_.tensor(name).values;
    const std::int64_t classes = file_.integer("classes");
    const std::vector<double> expected(all.begin() + mine.begin * classes,
                                       all.begin() + mine.end * classes);
    const double off = difference({executor.logits(), expected.size()}, expected);
    EXPECT_LT(off, kLogits) << name;
    worst = std::max(worst, off);
  }

  const GoldenFile& file_;
  const Communicator& group_;
  LayoutKind layout_;
  Engine engine_;
  TestBatch batch_;
};

class Golden : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Golden, EqualsPyTorch) {
  const GoldenFile file(GetParam());
  const Communicator group = Communicator::world();
  Worst worst;
  std::string layouts;
  for (LayoutKind layout : layouts_of(golden_graph(file))) {
    layouts += std::string(" ") + layout_name(layout);
    for (int lanes : {1, 2, 3}) {
      SCOPED_TRACE(std::string(layout_name(layout)) + ", lanes: " + std::to_string(lanes));
      GoldenRun(file, group, layout, lanes).check_all(worst);
    }
  }
  if (group.rank() == 0)
    std::printf(
        "logits %.1e loss %.1e gradients %.1e statistics %.1e weights %.1e evaluation %.1e"
        "  %s%s\n",
        worst.logits, worst.loss, worst.gradient, worst.statistic, worst.trained, worst.evaluation,
        GetParam().stem().c_str(), layouts.c_str());
}

INSTANTIATE_TEST_SUITE_P(Nets, Golden, testing::ValuesIn(golden_nets()),
                         [](const auto& test) { return test.param.stem().string(); });

}  // namespace
}  // namespace lockstep
