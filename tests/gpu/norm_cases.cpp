#include "layers/gpu/batch_norm.h"
#include "tests/gpu/cases.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/normalization.h"

namespace lockstep::gpu_test {

namespace {

struct Case {
  const char* what;
  std::vector<std::int64_t> dims;
};

/// Forward with residual and ReLU, then backward with two consumers: what a block's last norm runs.
template <class T>
void run_case(Bench& bench, Storage storage, const Case& c, bool compare) {
  const gpu::Queue& q = bench.queue();
  const std::string op = std::string("batch norm ") + c.what, s = name(storage);
  const auto channels = static_cast<int>(c.dims[1]);
  const gpu::NormShape shape{static_cast<int>(c.dims[0]), static_cast<int>(c.dims[2] * c.dims[3]),
                             channels};
  const BatchNorm norm;
  const std::int64_t count = shape.rows();
  Tensor x = quick_tensor(c.dims, 1, compare);
  for (double& v : x.values) v = v * 2 + 0.5;
  x = stored(x, storage);
  const Tensor r = stored(quick_tensor(c.dims, 2, compare), storage),
               g1 = stored(quick_tensor(c.dims, 3, compare), storage),
               g2 = stored(quick_tensor(c.dims, 4, compare), storage);
  const Tensor gamma = stored(quick_tensor({channels}, 5), Storage::kF32),
               beta = stored(quick_tensor({channels}, 6), Storage::kF32);
  const Buffer src = bench.upload(x, storage, true), residual = bench.upload(r, storage, true);
  const Buffer dd1 = bench.upload(g1, storage, true), dd2 = bench.upload(g2, storage, true);
  const Buffer dst = bench.empty(c.dims, storage, true),
               masked = bench.empty(c.dims, storage, true),
               diff_src = bench.empty(c.dims, storage, true);
  const Buffer w = bench.upload(gamma, Storage::kF32, false),
               b = bench.upload(beta, Storage::kF32, false);
  const Tensor zeros = reference::make_tensor({channels}),
               ones = reference::make_tensor({channels}, 1);
  const Buffer mean = bench.upload(zeros, Storage::kF32, false),
               var = bench.upload(ones, Storage::kF32, false);
  const Buffer dw = bench.empty({channels}, Storage::kF32, false),
               db = bench.empty({channels}, Storage::kF32, false);
  const Buffer partial =
      bench.empty_f64(static_cast<std::int64_t>(gpu::norm_partial_bytes(shape, sizeof(T)) / 8));
  const Buffer sums = bench.empty_f64(2 * channels + 1),
               sums_back = bench.empty_f64(2 * channels + 1);
  const Buffer affine = bench.empty({4 * channels}, Storage::kF32, false),
               coefficients = bench.empty({3 * channels}, Storage::kF32, false);
  const gpu::NormParameters parameters{w.as(), b.as(), mean.as(), var.as()};

  std::optional<Tensor> y, dx, dgamma, dbeta, running_mean, running_var, total, m;
  if (compare) {
    const reference::NormResult n =
        reference::batch_norm(x, gamma, beta, static_cast<double>(norm.eps));
    y = reference::activation(reference::add(n.dst, r), reference::ActivationKind::kRelu);
    m = stored(reference::activation_backward(reference::add(n.dst, r), reference::add(g1, g2),
                                              reference::ActivationKind::kRelu),
               storage);
    const reference::NormGradients e =
        reference::batch_norm_backward(x, gamma, *m, static_cast<double>(norm.eps));
    dx = e.src, dgamma = e.gamma, dbeta = e.beta;
    running_mean = zeros, running_var = ones;
    reference::update_running_statistics(n, count, static_cast<double>(norm.momentum),
                                         running_mean->values, running_var->values);
    total = reference::make_tensor({2 * channels + 1});
    for (std::int64_t i = 0; i < x.elements(); ++i) {
      const std::int64_t ch = i / shape.pixels % channels;
      (*total)[ch] += x[i];
      (*total)[channels + ch] += x[i] * x[i];
    }
    (*total)[2 * channels] = shape.images;
  }
  const double bytes = elements(x) * sizeof(T), allowed = tolerance(storage);
  bench.run({op,
             "statistics",
             s,
             {bytes, 0},
             0,
             [&] { gpu::norm_statistics(q, shape, src.as<T>(), partial.as<double>()); },
             {{&partial, {}}}});
  bench.run({op,
             "combine",
             s,
             {},
             1e-5,
             [&] { gpu::norm_combine<T>(q, shape, partial.as<double>(), sums.as<double>()); },
             {{&sums, total}}});
  bench.run(
      {op,
       "finish",
       s,
       {},
       1e-5,
       [&] { gpu::norm_finish(q, norm, shape, sums.as<double>(), parameters, true, affine.as()); },
       {{&affine, {}}, {&mean, running_mean}, {&var, running_var}},
       [&] {
         bench.set(mean, zeros);
         bench.set(var, ones);
       }});
  bench.run({op,
             "normalize add relu",
             s,
             {3 * bytes, 0},
             allowed,
             [&] {
               gpu::norm_apply(q, shape, src.as<T>(), residual.as<T>(), affine.as(), true,
                               dst.as<T>());
             },
             {{&dst, y}}});
  const gpu::NormBackward<T> tensors{dd1.as<T>(), dd2.as<T>(), dst.as<T>(),
                                     src.as<T>(), affine.as(), masked.as<T>()};
  bench.run({op,
             "backward sums",
             s,
             {5 * bytes, 0},
             allowed,
             [&] { gpu::norm_backward_sums(q, shape, tensors, partial.as<double>()); },
             {{&masked, m}, {&partial, {}}}});
  bench.run({op,
             "combine backward",
             s,
             {},
             storage == Storage::kBf16 ? 1e-3 : 1e-5,
             [&] {
               gpu::norm_combine_backward<T>(q, shape, partial.as<double>(), affine.as(), true,
                                             sums_back.as<double>(), dw.as(), db.as());
             },
             {{&dw, dgamma}, {&db, dbeta}}});
  bench.run({op,
             "finish backward",
             s,
             {},
             0,
             [&] {
               gpu::norm_finish_backward(q, shape, sums_back.as<double>(), w.as(), affine.as(),
                                         coefficients.as());
             },
             {{&coefficients, {}}}});
  bench.run({op,
             "backward data",
             s,
             {3 * bytes, 0},
             allowed,
             [&] {
               gpu::norm_backward_data(q, shape, masked.as<T>(), src.as<T>(), coefficients.as(),
                                       diff_src.as<T>());
             },
             {{&diff_src, dx}}});
  if (compare) {
    const Tensor ev = reference::batch_norm_inference(
        x, gamma, beta, running_mean->values, running_var->values, static_cast<double>(norm.eps));
    bench.run({op,
               "from running",
               s,
               {},
               allowed,
               [&] {
                 gpu::norm_from_running(q, norm, channels, parameters, affine.as());
                 gpu::norm_apply<T>(q, shape, src.as<T>(), nullptr, affine.as(), false,
                                    dst.as<T>());
               },
               {{&dst, ev}},
               [&] {
                 bench.set(mean, *running_mean);
                 bench.set(var, *running_var);
               }});
  }
}

}  // namespace

void test_batch_norm(Bench& bench, Storage storage, bool large) {
  const std::vector<Case> small{{"16 of 5x6", {4, 16, 5, 6}},
                                {"7 of 9x9", {3, 7, 9, 9}},
                                {"264 of 2x2", {2, 264, 2, 2}},
                                {"32 of 33x31", {9, 32, 33, 31}}};
  const std::vector<Case> big{{"64 of 112x112 n128", {128, 64, 112, 112}},
                              {"256 of 56x56 n128", {128, 256, 56, 56}},
                              {"2048 of 7x7 n128", {128, 2048, 7, 7}},
                              {"16 of 32x32 n128", {128, 16, 32, 32}}};
  for (const Case& c : large ? big : small)
    bench.guard(std::string("batch norm ") + c.what, [&] {
      storage == Storage::kBf16 ? run_case<Bf16>(bench, storage, c, !large)
                                : run_case<float>(bench, storage, c, !large);
    });
}

}  // namespace lockstep::gpu_test
