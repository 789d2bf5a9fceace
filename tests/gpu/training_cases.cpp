#include <cmath>

#include "layers/gpu/loss.h"
#include "layers/gpu/update.h"
#include "tests/gpu/cases.h"
#include "tests/reference/classifier.h"
#include "tests/reference/sgd.h"

namespace lockstep::gpu_test {

namespace {

void loss_case(Bench& bench, int images, int classes, float smoothing) {
  const gpu::Queue& q = bench.queue();
  Tensor z = quick_tensor({images, classes}, 1);
  for (double& v : z.values) v *= 6;
  z = stored(z, Storage::kF32);
  std::vector<int> labels(static_cast<std::size_t>(images));
  for (std::size_t i = 0; i < labels.size(); ++i)
    labels[i] = static_cast<int>(i * 7 % static_cast<std::size_t>(classes));
  const Buffer logits = bench.upload(z, Storage::kF32, false),
               diff = bench.empty(z.dims, Storage::kF32, false);
  const Buffer device_labels = bench.bytes(labels.size() * 4),
               per_image = bench.empty_f64(4 * images), sums = bench.empty_f64(4);
  q.upload(device_labels.memory.data(), labels.data(), labels.size() * 4);
  const double divisor = 3 * images;
  const reference::CrossEntropy e =
      reference::softmax_cross_entropy(z, labels, static_cast<double>(smoothing), divisor);
  Tensor expected = reference::make_tensor({4});
  expected[0] = e.loss * divisor;
  for (int n = 0; n < images; ++n) {
    const int label = labels[static_cast<std::size_t>(n)];
    int better = 0;
    for (int c = 0; c < classes; ++c)
      better += z.at(n, c) > z.at(n, label) || (z.at(n, c) == z.at(n, label) && c < label);
    expected[1] += better < 1;
    expected[2] += better < 5;
    expected[3] += 1;
  }
  const std::string op = "loss " + std::to_string(images) + "x" + std::to_string(classes);
  const gpu::LossShape shape{images, classes, smoothing};
  bench.run({op,
             "forward",
             "f32",
             {8.0 * images * classes, 0},
             1e-5,
             [&] {
               gpu::softmax_loss(q, shape, logits.as(), device_labels.as<std::int32_t>(), divisor,
                                 per_image.as<double>(), diff.as());
             },
             {{&diff, e.diff_src}, {&per_image, {}}}});
  bench.run({op,
             "combine",
             "f32",
             {},
             1e-6,
             [&] { gpu::combine_loss(q, images, per_image.as<double>(), true, sums.as<double>()); },
             {{&sums, expected}}});
}

void update_case(Bench& bench, std::int64_t n, bool nesterov, double clip) {
  const gpu::Queue& q = bench.queue();
  const Tensor g = stored(quick_tensor({n}, 1), Storage::kF32),
               v = stored(quick_tensor({n}, 2), Storage::kF32),
               w = stored(quick_tensor({n}, 3), Storage::kF32);
  const Buffer gradient = bench.upload(g, Storage::kF32, false),
               velocity = bench.upload(v, Storage::kF32, false),
               weights = bench.upload(w, Storage::kF32, false);
  const auto size = static_cast<std::size_t>(n),
             blocks = (size + gpu::kNormBlock - 1) / gpu::kNormBlock;
  const Buffer partial = bench.empty_f64(static_cast<std::int64_t>(blocks)),
               sums = bench.empty_f64(3);
  double squares = 0;
  for (double x : g.values) squares += x * x;
  Tensor norm = reference::make_tensor({3});
  norm[0] = std::sqrt(squares);
  norm[1] = clip > 0 && norm[0] > clip ? clip / norm[0] : 1;
  const std::string op = std::string("sgd ") + (nesterov ? "nesterov " : "") +
                         (clip > 0 ? "clipped " : "") + std::to_string(n);
  bench.run({op,
             "gradient norm",
             "f32",
             {4.0 * static_cast<double>(n), 0},
             1e-5,
             [&] { gpu::gradient_norm(q, size, gradient.as(), partial.as<double>()); },
             {{&partial, {}}}});
  bench.run({op,
             "finish norm",
             "f32",
             {},
             1e-6,
             [&] {
               gpu::finish_gradient_norm(q, blocks, partial.as<double>(), clip, 0,
                                         sums.as<double>());
             },
             {{&sums, norm}}});
  Tensor scaled = g, new_v = v, new_w = w;
  for (double& x : scaled.values) x *= norm[1];
  const gpu::SgdOptions o{0.1f, 0.9f, 5e-4f, nesterov};
  reference::sgd_update(new_w, new_v, scaled,
                        {static_cast<double>(o.learning_rate), static_cast<double>(o.momentum),
                         static_cast<double>(o.weight_decay), nesterov});
  bench.run({op,
             "update",
             "f32",
             {20.0 * static_cast<double>(n), 0},
             1e-5,
             [&] {
               gpu::sgd_update(q, size, o, sums.as<double>(), gradient.as(), velocity.as(),
                               weights.as());
             },
             {{&velocity, new_v}, {&weights, new_w}},
             [&] {
               bench.set(velocity, v);
               bench.set(weights, w);
             }});
  bench.set(weights, w), bench.set(velocity, v);
  bench.run(
      {op,
       "held",
       "f32",
       {},
       0,
       [&] {
         gpu::finish_gradient_norm(q, blocks, partial.as<double>(), clip, 1e-3, sums.as<double>());
         gpu::sgd_update(q, size, o, sums.as<double>(), gradient.as(), velocity.as(), weights.as());
       },
       {{&velocity, v}, {&weights, w}},
       [] {}});
}

}  // namespace

void test_loss(Bench& bench, bool large) {
  bench.guard("loss", [&] {
    if (large) return loss_case(bench, 128, 1000, 0.1f);
    loss_case(bench, 7, 10, 0.0f);
    loss_case(bench, 33, 130, 0.1f);
  });
}

void test_update(Bench& bench, bool large) {
  bench.guard("update", [&] {
    if (large) return update_case(bench, 25557032, false, 0);
    update_case(bench, 40001, false, 0);
    update_case(bench, 5000, true, 1.0);
  });
}

}  // namespace lockstep::gpu_test
