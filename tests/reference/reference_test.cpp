// Every twin's backward against finite differences of its forward, over odd shapes.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/reference/channels.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/finite_difference.h"
#include "tests/reference/normalization.h"
#include "tests/reference/pooling.h"
#include "tests/reference/upsampling.h"

namespace lockstep::reference {
namespace {

using Dims = std::vector<std::int64_t>;

/// `gradient` must be the gradient of dot(op(x), diff_dst) at x.
void expect_gradient(const std::string& what, const Function& op, const Tensor& x,
                     const Tensor& diff_dst, const Tensor& gradient) {
  EXPECT_LT(gradient_error(op, x, diff_dst, gradient), kGradientTolerance)
      << what << " at " << dims_text(x);
}

TEST(FiniteDifference, SeesAWrongGradient) {
  const Tensor x = random_tensor({5}, 1);
  const Scalar cubes = [](const Tensor& t) {
    double sum = 0;
    for (double v : t.values) sum += v * v * v;
    return sum;
  };
  Tensor gradient = x;
  for (double& v : gradient.values) v = 3 * v * v;
  EXPECT_LT(gradient_error(cubes, x, gradient), kGradientTolerance);
  gradient[3] *= 1 + 1e-5;
  EXPECT_GT(gradient_error(cubes, x, gradient), kGradientTolerance);
  gradient[3] = NAN;
  EXPECT_GT(gradient_error(cubes, x, gradient), kGradientTolerance);
}

struct ConvolutionCase {
  Dims src, weight;
  ConvolutionOptions options;
};

TEST(Twins, Conv2d) {
  const std::vector<ConvolutionCase> cases = {
      {{2, 3, 5, 4}, {4, 3, 3, 3}, {1, 1, 1}}, {{1, 2, 7, 6}, {3, 2, 3, 3}, {2, 1, 1}},
      {{2, 4, 5, 5}, {6, 2, 3, 3}, {2, 1, 2}}, {{2, 3, 4, 5}, {3, 1, 3, 3}, {1, 1, 3}},
      {{3, 5, 3, 3}, {2, 5, 1, 1}, {2, 0, 1}}, {{1, 1, 9, 8}, {2, 1, 7, 7}, {2, 3, 1}},
      {{1, 2, 4, 7}, {2, 2, 2, 3}, {3, 0, 1}}, {{0, 2, 3, 3}, {2, 2, 3, 3}, {1, 1, 1}},
  };
  for (const ConvolutionCase& c : cases) {
    const Tensor src = random_tensor(c.src, 1), weight = random_tensor(c.weight, 2);
    const Tensor bias = random_tensor({c.weight[0]}, 3);
    const Tensor diff = random_tensor(conv2d(src, weight, bias, c.options).dims, 4);
    const ConvolutionGradients g = conv2d_backward(src, weight, diff, c.options);
    expect_gradient(
        "src", [&](const Tensor& x) { return conv2d(x, weight, bias, c.options); }, src, diff,
        g.src);
    expect_gradient(
        "weight", [&](const Tensor& x) { return conv2d(src, x, bias, c.options); }, weight, diff,
        g.weight);
    expect_gradient(
        "bias", [&](const Tensor& x) { return conv2d(src, weight, x, c.options); }, bias, diff,
        g.bias);
  }
}

/// A norm as functions of (src, gamma, beta) and (src, gamma, diff_dst).
struct Norm {
  std::string name;
  std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)> forward;
  std::function<NormGradients(const Tensor&, const Tensor&, const Tensor&)> backward;
};

Norm group_norm_in(int groups, double eps) {
  return {"group_norm",
          [=](auto& x, auto& g, auto& b) { return group_norm(x, g, b, groups, eps).dst; },
          [=](auto& x, auto& g, auto& d) { return group_norm_backward(x, g, d, groups, eps); }};
}

std::vector<Norm> norms(std::int64_t channels, double eps) {
  std::vector<double> mean, variance;
  for (std::int64_t c = 0; c < channels; ++c) {
    mean.push_back(0.3 * static_cast<double>(c) - 0.5);
    variance.push_back(0.2 + 0.7 * static_cast<double>(c));
  }
  return {
      {"batch_norm", [=](auto& x, auto& g, auto& b) { return batch_norm(x, g, b, eps).dst; },
       [=](auto& x, auto& g, auto& d) { return batch_norm_backward(x, g, d, eps); }},
      {"batch_norm_inference",
       [=](auto& x, auto& g, auto& b) {
         return batch_norm_inference(x, g, b, mean, variance, eps);
       },
       [=](auto& x, auto& g, auto& d) {
         return batch_norm_inference_backward(x, g, d, mean, variance, eps);
       }},
      {"layer_norm_image",
       [=](auto& x, auto& g, auto& b) { return layer_norm_image(x, g, b, eps).dst; },
       [=](auto& x, auto& g, auto& d) { return layer_norm_image_backward(x, g, d, eps); }},
      {"layer_norm_pixel",
       [=](auto& x, auto& g, auto& b) { return layer_norm_pixel(x, g, b, eps).dst; },
       [=](auto& x, auto& g, auto& d) { return layer_norm_pixel_backward(x, g, d, eps); }},
  };
}

void check_norm(const Norm& norm, const Dims& dims) {
  const Tensor src = random_tensor(dims, 5), gamma = random_tensor({dims[1]}, 6);
  const Tensor beta = random_tensor({dims[1]}, 7), diff = random_tensor(dims, 8);
  const NormGradients g = norm.backward(src, gamma, diff);
  expect_gradient(
      norm.name + " src", [&](auto& x) { return norm.forward(x, gamma, beta); }, src, diff, g.src);
  expect_gradient(
      norm.name + " gamma", [&](auto& x) { return norm.forward(src, x, beta); }, gamma, diff,
      g.gamma);
  expect_gradient(
      norm.name + " beta", [&](auto& x) { return norm.forward(src, gamma, x); }, beta, diff,
      g.beta);
}

TEST(Twins, Norms) {
  for (const Dims& dims : {Dims{4, 3, 3, 2}, Dims{2, 5, 4, 5}, Dims{3, 4, 1, 3}, Dims{7, 6, 1, 1}})
    for (const Norm& norm : norms(dims[1], 0.1)) check_norm(norm, dims);
  for (const Norm& norm : norms(3, 1e-5)) check_norm(norm, {3, 3, 5, 5});
  check_norm(group_norm_in(2, 1e-5), {3, 4, 3, 5});
  check_norm(group_norm_in(3, 0.1), {2, 9, 1, 2});
  check_norm(group_norm_in(5, 0.1), {2, 5, 3, 3});
}

TEST(Twins, BatchNormOfOnePixel) {
  const Tensor src = random_tensor({1, 3, 1, 1}, 9), one = make_tensor({3}, 1);
  const NormGradients g = batch_norm_backward(src, one, random_tensor(src.dims, 10), 1e-5);
  EXPECT_EQ(g.src.values, std::vector<double>(3, 0.0));
}

TEST(Twins, Activations) {
  for (const Dims& dims : {Dims{2, 3, 4, 5}, Dims{7}, Dims{1, 1, 3, 1}})
    for (const ActivationTwin& twin : kActivationTwins) {
      const ActivationKind kind = twin.kind;
      const Tensor src = spaced_tensor(dims, 11), diff = random_tensor(dims, 12);
      expect_gradient(
          "activation " + std::to_string(static_cast<int>(kind)),
          [&](auto& x) { return activation(x, kind, 0.3); }, src, diff,
          activation_backward(src, diff, kind, 0.3));
    }
}

TEST(Twins, AddScaleDropoutStochasticDepth) {
  for (const Dims& dims : {Dims{3, 2, 3, 4}, Dims{2, 5, 1, 1}, Dims{1, 1, 5, 3}}) {
    const Tensor src = random_tensor(dims, 13), other = random_tensor(dims, 14);
    const Tensor diff = random_tensor(dims, 15);
    Tensor mask = random_tensor(dims, 16);
    for (double& v : mask.values) v = v > -0.5 ? 1 : 0;
    std::vector<double> factors(static_cast<std::size_t>(dims[0]), 0);
    factors[0] = 1.25;

    expect_gradient(
        "add", [&](auto& x) { return add(x, other); }, src, diff, diff);
    expect_gradient(
        "add", [&](auto& x) { return add(other, x); }, src, diff, diff);
    expect_gradient(
        "scale", [&](auto& x) { return scale(x, 0.2); }, src, diff, scale(diff, 0.2));
    expect_gradient(
        "dropout", [&](auto& x) { return dropout(x, mask, 0.3); }, src, diff,
        dropout(diff, mask, 0.3));
    expect_gradient(
        "stochastic_depth", [&](auto& x) { return stochastic_depth(x, factors); }, src, diff,
        stochastic_depth(diff, factors));
  }
}

TEST(Twins, Lerp) {
  for (const Dims& dims : {Dims{3, 2, 3, 4}, Dims{2, 5, 1, 1}}) {
    const Tensor start = random_tensor(dims, 61), end = random_tensor(dims, 62);
    const Tensor weight = random_tensor(dims, 63), diff = random_tensor(dims, 64);
    const LerpGradients g = lerp_backward(start, end, weight, diff);
    expect_gradient(
        "start", [&](auto& x) { return lerp(x, end, weight); }, start, diff, g.start);
    expect_gradient(
        "end", [&](auto& x) { return lerp(start, x, weight); }, end, diff, g.end);
    expect_gradient(
        "weight", [&](auto& x) { return lerp(start, end, x); }, weight, diff, g.weight);
  }
}

TEST(Twins, ChannelScale) {
  for (const Dims& dims : {Dims{3, 2, 3, 4}, Dims{2, 5, 1, 1}, Dims{1, 3, 5, 3}}) {
    const Tensor src = random_tensor(dims, 17), gate = random_tensor({dims[0], dims[1]}, 18);
    const Tensor diff = random_tensor(dims, 19);
    for (const Tensor& gates : {gate, random_tensor({dims[0], 1}, 65)}) {  // of channels; of images
      const ChannelScaleGradients g = channel_scale_backward(src, gates, diff);
      expect_gradient(
          "src", [&](auto& x) { return channel_scale(x, gates); }, src, diff, g.src);
      expect_gradient(
          "gate", [&](auto& x) { return channel_scale(src, x); }, gates, diff, g.gate);
    }
  }
}

/// The gate itself has no slope: its gradient is that of the sigmoid that it is drawn by.
TEST(Twins, ImageGate) {
  for (const Dims& dims : {Dims{7, 1}, Dims{5, 1, 1, 1}}) {
    const Tensor odds = random_tensor(dims, 66), noise = random_tensor(dims, 67);
    const Tensor diff = random_tensor(dims, 68);
    const auto soft = [&](auto& x) { return activation(add(x, noise), ActivationKind::kSigmoid); };
    expect_gradient("straight through", soft, odds, diff,
                    image_gate_backward(odds, noise, diff, {}));
    const GateRate rate{.rate = 0.7, .weight = 0.3};
    const Tensor none = scale(diff, 0);
    expect_gradient(
        "rate",
        [&](auto& x) {
          return Tensor{{1}, {image_gate_loss(x, rate)}};
        },
        odds, Tensor{{1}, {1}}, image_gate_backward(odds, noise, none, rate));
    EXPECT_EQ(image_gate_backward(odds, noise, diff, rate).values,
              add(image_gate_backward(odds, noise, diff, {}),
                  image_gate_backward(odds, noise, none, rate))
                  .values);
    const Tensor gate = image_gate(odds, noise), probability = soft(odds);
    for (std::int64_t i = 0; i < gate.elements(); ++i)
      EXPECT_EQ(gate[i], probability[i] > 0.5 ? 1 : 0);
  }
}

TEST(Twins, Pools) {
  const std::vector<PoolOptions> options = {
      {2, 2, 0, false, false}, {3, 2, 1, false, false}, {3, 2, 1, false, true},
      {3, 2, 1, true, true},   {2, 2, 0, true, false},  {3, 1, 1, false, false},
      {2, 3, 1, true, false},
  };
  for (const Dims& dims : {Dims{2, 3, 5, 4}, Dims{1, 2, 7, 7}, Dims{3, 1, 3, 6}})
    for (const PoolOptions& o : options) {
      const Tensor src = spaced_tensor(dims, 20);
      const Tensor diff = random_tensor(max_pool(src, o).dims, 21);
      expect_gradient(
          "max_pool", [&](auto& x) { return max_pool(x, o); }, src, diff,
          max_pool_backward(src, diff, o));
      expect_gradient(
          "average_pool", [&](auto& x) { return average_pool(x, o); }, src, diff,
          average_pool_backward(src, diff, o));
    }
}

TEST(Twins, GlobalAveragePool) {
  for (const Dims& dims : {Dims{2, 3, 5, 4}, Dims{3, 2, 1, 1}, Dims{1, 1, 7, 3}}) {
    const Tensor src = random_tensor(dims, 22);
    const Tensor diff = random_tensor({dims[0], dims[1], 1, 1}, 23);
    expect_gradient("global_average_pool", global_average_pool, src, diff,
                    global_average_pool_backward(dims, diff));
  }
}

TEST(Twins, Concat) {
  for (const Dims& channels : {Dims{2, 3}, Dims{1, 4, 2}, Dims{3}}) {
    std::vector<Tensor> parts;
    for (std::int64_t c : channels)
      parts.push_back(random_tensor({2, c, 3, 2}, 24 + static_cast<std::uint64_t>(c)));
    const Tensor diff = random_tensor(concat(parts).dims, 30);
    const std::vector<Tensor> g = concat_backward(diff, channels);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto with_part = [&](const Tensor& x) {
        std::vector<Tensor> moved = parts;
        moved[i] = x;
        return concat(moved);
      };
      expect_gradient("concat", with_part, parts[i], diff, g[i]);
    }
  }
}

TEST(Twins, ChannelPad) {
  const std::vector<ChannelPadOptions> options = {{5, 1, 0}, {6, 2, 0}, {7, 2, 2}, {4, 3, 1}};
  for (const Dims& dims : {Dims{2, 3, 5, 4}, Dims{1, 2, 4, 7}, Dims{3, 3, 1, 1}})
    for (const ChannelPadOptions& o : options) {
      const Tensor src = random_tensor(dims, 31);
      const Tensor diff = random_tensor(channel_pad(src, o).dims, 32);
      expect_gradient(
          "channel_pad", [&](auto& x) { return channel_pad(x, o); }, src, diff,
          channel_pad_backward(dims, diff, o));
    }
}

TEST(Twins, Linear) {
  for (const Dims& size : {Dims{3, 4, 5}, Dims{1, 7, 2}, Dims{4, 1, 1}}) {
    const Tensor src = random_tensor({size[0], size[1]}, 33);
    const Tensor weight = random_tensor({size[2], size[1]}, 34),
                 bias = random_tensor({size[2]}, 35);
    const Tensor diff = random_tensor({size[0], size[2]}, 36);
    const LinearGradients g = linear_backward(src, weight, diff);
    expect_gradient(
        "src", [&](auto& x) { return linear(x, weight, bias); }, src, diff, g.src);
    expect_gradient(
        "weight", [&](auto& x) { return linear(src, x, bias); }, weight, diff, g.weight);
    expect_gradient(
        "bias", [&](auto& x) { return linear(src, weight, x); }, bias, diff, g.bias);
  }
}

TEST(Twins, ConvTranspose2d) {
  struct Case {
    Dims src, weight;
    int stride, padding;
  };
  for (const Case& c :
       {Case{{2, 3, 3, 4}, {3, 2, 2, 2}, 2, 0}, Case{{1, 2, 3, 3}, {2, 3, 3, 3}, 1, 1},
        Case{{1, 2, 2, 3}, {2, 2, 4, 3}, 3, 1}}) {
    const Tensor src = random_tensor(c.src, 1), weight = random_tensor(c.weight, 2);
    const Tensor diff = random_tensor(conv_transpose2d(src, weight, c.stride, c.padding).dims, 3);
    const auto g = conv_transpose2d_backward(src, weight, diff, c.stride, c.padding);
    expect_gradient(
        "src", [&](const Tensor& x) { return conv_transpose2d(x, weight, c.stride, c.padding); },
        src, diff, g.src);
    expect_gradient(
        "weight", [&](const Tensor& x) { return conv_transpose2d(src, x, c.stride, c.padding); },
        weight, diff, g.weight);
  }
}

TEST(Twins, Upsample) {
  for (const int factor : {1, 2, 3})
    for (const Dims& dims : {Dims{2, 2, 3, 4}, Dims{1, 1, 1, 5}, Dims{1, 2, 2, 1}}) {
      const Tensor src = random_tensor(dims, 1);
      const Tensor diff = random_tensor(upsample(src, factor).dims, 2);
      expect_gradient(
          "upsample", [&](const Tensor& x) { return upsample(x, factor); }, src, diff,
          upsample_backward(dims, diff, factor));
    }
}

TEST(Twins, PixelCrossEntropy) {
  const Tensor logits = scale(random_tensor({2, 3, 2, 2}, 41), 3);
  const std::vector<int> labels{0, 2, -1, 1, 1, -1, 2, 0};
  for (const double smoothing : {0.0, 0.2}) {
    const Scalar loss = [&](const Tensor& t) {
      return pixel_cross_entropy(t, labels, smoothing, 8).loss;
    };
    const Tensor g = pixel_cross_entropy(logits, labels, smoothing, 8).diff_src;
    EXPECT_LT(gradient_error(loss, logits, g), kGradientTolerance);
    for (std::int64_t c = 0; c < 3; ++c) EXPECT_EQ(g.at(0, c, 1, 0), 0);  // has no label
  }
}

TEST(Twins, SoftmaxCrossEntropy) {
  const std::vector<int> labels = {2, 0, 1, 2, 2};
  for (double smoothing : {0.0, 0.1, 1.0})
    for (double divisor : {5.0, 13.0}) {
      const Tensor logits = scale(random_tensor({5, 3}, 37), 3);
      const auto loss = [&](const Tensor& x) {
        return softmax_cross_entropy(x, labels, smoothing, divisor).loss;
      };
      const Tensor g = softmax_cross_entropy(logits, labels, smoothing, divisor).diff_src;
      EXPECT_LT(gradient_error(loss, logits, g), kGradientTolerance)
          << "smoothing " << smoothing << ", divisor " << divisor;
    }
}

}  // namespace
}  // namespace lockstep::reference
