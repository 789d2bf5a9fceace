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

/// Relative L2 differences that are allowed; of the loss the absolute one.
struct Bounds {
  double logits, loss, gradient, statistic, trained;
};
constexpr Bounds kF32{
    .logits = 1e-5, .loss = 1e-5, .gradient = 1e-3, .statistic = 1e-5, .trained = 1e-4};
/// In bf16 every stored number is off by up to 2^-9 of itself, weights too, and these nets round
/// some tens of times on the way. Gradients are only nearer than nothing: where a ReLU's input is
/// about zero it lets through what it should not, and in these small batches a few such pixels are
/// much of a channel. (What an op's own gradient may be off is in ops_test.) Later steps go apart.
constexpr Bounds kBf16{
    .logits = 0x1p-4, .loss = 0x1p-5, .gradient = 1, .statistic = 0x1p-5, .trained = 0};

/// The largest differences from one file, over layouts and lanes.
struct Worst {
  double logits = 0, loss = 0, gradient = 0, statistic = 0, trained = 0, evaluation = 0;
};

Optimizer optimizer_of(const GoldenFile& file) {
  OptimizerOptions o;
  o.weight_decay = file.number("weight_decay");
  if (!file.has_setting("optimizer")) {
    o.momentum = file.number("momentum");
    o.nesterov = file.text("nesterov") == "true";
    return make_optimizer(o);
  }
  o.name = OptimizerKind::kAdamW;
  o.beta1 = file.number("beta1");
  o.beta2 = file.number("beta2");
  o.eps = file.number("eps");
  return make_optimizer(o);
}

RankOptions options_of(const GoldenFile& file, const Communicator& group, LayoutKind layout,
                       int lanes, Storage activations) {
  RankOptions options = engine_options(group, file.integer("batch"), lanes, layout);
  options.plan.activations = activations;
  options.optimizer = optimizer_of(file);
  return options;
}

/// One net on one engine.
class GoldenRun {
 public:
  GoldenRun(const GoldenFile& file, const Communicator& group, LayoutKind layout, int lanes,
            Storage activations = Storage::kF32)
      : file_(file),
        group_(group),
        layout_(layout),
        engine_(plan_rank(golden_graph(file), options_of(file, group, layout, lanes, activations)),
                group),
        batch_{file.tensor("input"), golden_labels(file)},
        bounds_(activations == Storage::kBf16 ? kBf16 : kF32) {
    engine_.state().initialize(0);
    const auto& parameters = engine_.graph().parameters();
    for (std::size_t p = 0; p < parameters.size(); ++p)
      std::ranges::copy(file.tensor("parameter/" + parameters[p].name).values,
                        parameter(p, engine_.state().parameters()).begin());
  }

  void check_first_step(Worst& worst) {
    check_logits(engine_.estimator(), "logits", worst.logits);
    check_step(0, worst.loss);
    check_parameters("gradient/", engine_.state().gradients(), bounds_.gradient, worst.gradient);
    check_statistics(worst.statistic);
  }

  void check_all(Worst& worst) {
    check_first_step(worst);
    for (int step = 1; step < file_.integer("steps"); ++step) check_step(step, worst.loss);
    check_parameters("trained/", engine_.state().parameters(), bounds_.trained, worst.trained);
    check_logits(engine_.evaluator(), "evaluation", worst.evaluation);
  }

  std::vector<float> trained() {
    const std::span<float> all = engine_.state().parameters();
    return {all.begin(), all.end()};
  }

  /// The loss.
  double step(int number) {
    return run_step(
        engine_.trainer(), layout_, group_, batch_,
        {.step = number, .learning_rate = static_cast<float>(file_.number("learning_rate"))});
  }

 private:
  void check_step(int number, double& worst) {
    const double off = std::abs(step(number) - file_.tensor("loss")[number]);
    EXPECT_LT(off, bounds_.loss) << "step " << number;
    worst = std::max(worst, off);
  }

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
      EXPECT_LT(off, bounds_.statistic) << statistics[s].name;
      worst = std::max(worst, off);
    }
  }

  /// This rank's rows of the logits, of a forward that changes nothing.
  void check_logits(Executor& executor, const std::string& name, double& worst) {
    run_step(executor, layout_, group_, batch_, {.update_running = false});
    const Positions mine = part_of({0, batch_.count()}, group_.rank(), group_.size());
    const std::vector<double>& all = file_.tensor(name).values;
    const Shape shape = engine_.graph().value(logits_of(engine_.graph())).shape;
    const std::vector<double> expected(all.begin() + mine.begin * shape.elements(),
                                       all.begin() + mine.end * shape.elements());
    const double off =
        difference(plain_order({executor.logits(), expected.size()}, shape), expected);
    EXPECT_LT(off, bounds_.logits) << name;
    worst = std::max(worst, off);
  }

  const GoldenFile& file_;
  const Communicator& group_;
  LayoutKind layout_;
  Engine engine_;
  TestBatch batch_;
  Bounds bounds_;
};

void print(const Worst& worst, const std::string& what) {
  std::printf(
      "logits %.1e loss %.1e gradients %.1e statistics %.1e weights %.1e evaluation %.1e  %s\n",
      worst.logits, worst.loss, worst.gradient, worst.statistic, worst.trained, worst.evaluation,
      what.c_str());
}

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
  if (group.rank() == 0) print(worst, GetParam().stem().string() + layouts);
}

/// Activations in bfloat16, on CPUs that compute it: near PyTorch's, and every time the same.
TEST_P(Golden, IsNearInBf16) {
  const GoldenFile file(GetParam());
  if (!runs_bf16(golden_graph(file))) return;
  const Communicator group = Communicator::world();
  Worst worst;
  for (int lanes : {1, 3}) {
    SCOPED_TRACE("lanes: " + std::to_string(lanes));
    GoldenRun first(file, group, LayoutKind::kNhwc, lanes, Storage::kBf16);
    GoldenRun second(file, group, LayoutKind::kNhwc, lanes, Storage::kBf16);
    first.check_first_step(worst);
    second.check_first_step(worst);
    for (int step = 1; step < 5; ++step) EXPECT_EQ(first.step(step), second.step(step));
    EXPECT_EQ(first.trained(), second.trained());
  }
  if (group.rank() == 0) print(worst, GetParam().stem().string() + " bf16");
}

INSTANTIATE_TEST_SUITE_P(Nets, Golden, testing::ValuesIn(golden_nets()),
                         [](const auto& test) { return test.param.stem().string(); });

}  // namespace
}  // namespace lockstep
