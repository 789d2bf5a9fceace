// The naive twins against single ops of PyTorch in float64, forward and backward.
#include <gtest/gtest.h>

#include "tests/golden/golden_file.h"
#include "tests/reference/adamw.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/finite_difference.h"
#include "tests/reference/normalization.h"
#include "tests/reference/pooling.h"
#include "tests/reference/sgd.h"
#include "tests/reference/upsampling.h"

namespace lockstep {
namespace {

using reference::Tensor;

constexpr double kTolerance = 1e-9;

const GoldenFile& golden() {
  static const GoldenFile file(LOCKSTEP_SOURCE_DIR "/tests/golden/ops.golden");
  return file;
}

/// One case of one op in the file.
struct Case {
  std::string prefix;  // "conv2d/0/"

  const Tensor& operator[](const std::string& name) const { return golden().tensor(prefix + name); }
  double number(const std::string& key) const { return golden().number(prefix + key); }
  int integer(const std::string& key) const { return golden().integer(prefix + key); }
  void expect(const std::string& name, const Tensor& found) const {
    EXPECT_LT(reference::relative_difference(found, (*this)[name]), kTolerance) << prefix << name;
  }
};

std::vector<Case> cases_of(const std::string& op) {
  std::vector<Case> cases;
  for (int i = 0; i < golden().integer(op + "/cases"); ++i)
    cases.push_back({op + '/' + std::to_string(i) + '/'});
  return cases;
}

TEST(Ops, Conv2d) {
  for (const Case& c : cases_of("conv2d")) {
    const reference::ConvolutionOptions options{c.integer("stride"), c.integer("padding"),
                                                c.integer("groups")};
    c.expect("dst", reference::conv2d(c["src"], c["weight"], c["bias"], options));
    const auto g = reference::conv2d_backward(c["src"], c["weight"], c["diff_dst"], options);
    c.expect("diff_src", g.src);
    c.expect("diff_weight", g.weight);
    c.expect("diff_bias", g.bias);
  }
}

void expect_norm(const Case& c, const Tensor& dst, const reference::NormGradients& g) {
  c.expect("dst", dst);
  c.expect("diff_src", g.src);
  c.expect("diff_gamma", g.gamma);
  c.expect("diff_beta", g.beta);
}

TEST(Ops, BatchNorm) {
  const std::vector<Case> running = cases_of("running");
  const std::vector<Case> training = cases_of("batch_norm");
  const std::vector<Case> inference = cases_of("batch_norm_inference");
  for (std::size_t i = 0; i < training.size(); ++i) {
    const Case& c = training[i];
    const double eps = c.number("eps");
    const auto result = reference::batch_norm(c["src"], c["gamma"], c["beta"], eps);
    expect_norm(c, result.dst,
                reference::batch_norm_backward(c["src"], c["gamma"], c["diff_dst"], eps));

    Tensor mean = running[i]["initial_mean"], var = running[i]["initial_var"];
    const std::int64_t count = c["src"].elements() / mean.elements();
    reference::update_running_statistics(result, count, c.number("momentum"), mean.values,
                                         var.values);
    running[i].expect("mean", mean);
    running[i].expect("var", var);

    const Case& e = inference[i];
    expect_norm(e,
                reference::batch_norm_inference(e["src"], e["gamma"], e["beta"], mean.values,
                                                var.values, eps),
                reference::batch_norm_inference_backward(e["src"], e["gamma"], e["diff_dst"],
                                                         mean.values, var.values, eps));
  }
}

TEST(Ops, GroupAndLayerNorm) {
  using namespace reference;
  for (const Case& c : cases_of("group_norm")) {
    const int groups = c.integer("groups");
    const double eps = c.number("eps");
    expect_norm(c, group_norm(c["src"], c["gamma"], c["beta"], groups, eps).dst,
                group_norm_backward(c["src"], c["gamma"], c["diff_dst"], groups, eps));
  }
  for (const Case& c : cases_of("layer_norm_image")) {
    const double eps = c.number("eps");
    expect_norm(c, layer_norm_image(c["src"], c["gamma"], c["beta"], eps).dst,
                layer_norm_image_backward(c["src"], c["gamma"], c["diff_dst"], eps));
  }
  for (const Case& c : cases_of("layer_norm_pixel")) {
    const double eps = c.number("eps");
    expect_norm(c, layer_norm_pixel(c["src"], c["gamma"], c["beta"], eps).dst,
                layer_norm_pixel_backward(c["src"], c["gamma"], c["diff_dst"], eps));
  }
}

TEST(Ops, Activations) {
  int kind_index = 0;  // the cases are in the order of the kinds
  for (const Case& c : cases_of("activation")) {
    const auto kind = static_cast<reference::ActivationKind>(kind_index++);
    const double alpha = c.number("alpha");
    c.expect("dst", reference::activation(c["src"], kind, alpha));
    c.expect("diff_src", reference::activation_backward(c["src"], c["diff_dst"], kind, alpha));
  }
  EXPECT_EQ(kind_index, static_cast<int>(reference::ActivationKind::kSigmoid) + 1);
}

reference::PoolOptions pool_options(const Case& c) {
  return {c.integer("kernel"), c.integer("stride"), c.integer("padding"),
          c.integer("ceil_mode") == 1, c.integer("count_include_pad") == 1};
}

TEST(Ops, Pools) {
  using namespace reference;
  for (const Case& c : cases_of("max_pool")) {
    c.expect("dst", max_pool(c["src"], pool_options(c)));
    c.expect("diff_src", max_pool_backward(c["src"], c["diff_dst"], pool_options(c)));
  }
  for (const Case& c : cases_of("average_pool")) {
    c.expect("dst", average_pool(c["src"], pool_options(c)));
    c.expect("diff_src", average_pool_backward(c["src"], c["diff_dst"], pool_options(c)));
  }
  for (const Case& c : cases_of("global_average_pool")) {
    c.expect("dst", global_average_pool(c["src"]));
    c.expect("diff_src", global_average_pool_backward(c["src"].dims, c["diff_dst"]));
  }
}

TEST(Ops, LinearAndCrossEntropy) {
  for (const Case& c : cases_of("linear")) {
    c.expect("dst", reference::linear(c["src"], c["weight"], c["bias"]));
    const auto g = reference::linear_backward(c["src"], c["weight"], c["diff_dst"]);
    c.expect("diff_src", g.src);
    c.expect("diff_weight", g.weight);
    c.expect("diff_bias", g.bias);
  }
  for (const Case& c : cases_of("cross_entropy")) {
    const std::vector<int> labels(c["labels"].values.begin(), c["labels"].values.end());
    const auto result = reference::softmax_cross_entropy(c["logits"], labels, c.number("smoothing"),
                                                         c.number("divisor"));
    EXPECT_NEAR(result.loss, c["loss"][0], 1e-12) << c.prefix;
    c.expect("diff_logits", result.diff_src);
  }
}

TEST(Ops, Upsampling) {
  using namespace reference;
  for (const Case& c : cases_of("conv_transpose2d")) {
    const int stride = c.integer("stride"), padding = c.integer("padding");
    c.expect("dst", conv_transpose2d(c["src"], c["weight"], stride, padding));
    const auto g = conv_transpose2d_backward(c["src"], c["weight"], c["diff_dst"], stride, padding);
    c.expect("diff_src", g.src);
    c.expect("diff_weight", g.weight);
  }
  for (const Case& c : cases_of("upsample")) {
    const int factor = c.integer("factor");
    c.expect("dst", upsample(c["src"], factor));
    c.expect("diff_src", upsample_backward(c["src"].dims, c["diff_dst"], factor));
  }
}

TEST(Ops, PixelCrossEntropy) {
  for (const Case& c : cases_of("pixel_cross_entropy")) {
    const std::vector<int> labels(c["labels"].values.begin(), c["labels"].values.end());
    const auto result = reference::pixel_cross_entropy(c["logits"], labels, c.number("smoothing"),
                                                       c.number("divisor"));
    EXPECT_NEAR(result.loss, c["loss"][0], 1e-12) << c.prefix;
    c.expect("diff_logits", result.diff_src);
  }
}

TEST(Ops, Sgd) {
  for (const Case& c : cases_of("sgd")) {
    Tensor parameter = c["initial"], velocity = reference::make_tensor(parameter.dims);
    for (const char* gradient : {"gradient0", "gradient1", "gradient2"})
      reference::sgd_update(parameter, velocity, c[gradient],
                            {c.number("learning_rate"), c.number("momentum"),
                             c.number("weight_decay"), c.integer("nesterov") == 1});
    c.expect("final", parameter);
  }
}

TEST(Ops, AdamW) {
  for (const Case& c : cases_of("adamw")) {
    Tensor parameter = c["initial"], average = reference::make_tensor(parameter.dims),
           squares = average;
    for (int t = 1; t <= 5; ++t)
      reference::adamw_update(parameter, average, squares, c["gradient" + std::to_string(t - 1)], t,
                              {c.number("learning_rate"), c.number("beta1"), c.number("beta2"),
                               c.number("eps"), c.number("weight_decay")});
    c.expect("final", parameter);
    c.expect("exp_avg", average);
    c.expect("exp_avg_sq", squares);
  }
}

TEST(Ops, ImageGate) {
  for (const Case& c : cases_of("image_gate")) {
    const double images = static_cast<double>(c["odds"].dim(0));
    const reference::GateRate rate{.rate = c.number("rate"), .weight = c.number("weight") / images};
    c.expect("dst", reference::image_gate(c["odds"], c["noise"]));
    EXPECT_NEAR(reference::image_gate_loss(c["odds"], rate), c["loss"][0], kTolerance);
    c.expect("diff_odds",
             reference::image_gate_backward(c["odds"], c["noise"], c["diff_dst"], rate));
  }
}

}  // namespace
}  // namespace lockstep
