#include <cstdio>

#include "layers/gpu/convolution.h"
#include "layers/gpu/linear.h"
#include "tests/gpu/cases.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"

namespace lockstep::gpu_test {

namespace {

struct Case {
  const char* what;
  gpu::ConvolutionShape shape;
  Conv2d conv;
};

const Case kSmall[] = {
    {"3x3", {3, 16, 9, 11}, {.out_channels = 32}},
    {"3x3 stride 2", {2, 16, 9, 8}, {.out_channels = 32, .stride = 2}},
    {"1x1 stride 2", {2, 32, 8, 8}, {.out_channels = 64, .kernel = 1, .stride = 2, .padding = 0}},
    {"7x7 stride 2 of 3",
     {2, 3, 18, 18},
     {.out_channels = 16, .kernel = 7, .stride = 2, .padding = 3}},
    {"3x3 32 groups", {2, 128, 7, 7}, {.out_channels = 128, .groups = 32}},
    {"3x3 depthwise", {2, 32, 9, 9}, {.out_channels = 32, .groups = 32}},
};
const Case kLarge[] = {
    {"64>64 3x3 56x56 n128", {128, 64, 56, 56}, {.out_channels = 64}},
    {"64>256 1x1 56x56 n128", {128, 64, 56, 56}, {.out_channels = 256, .kernel = 1, .padding = 0}},
    {"256>256 3x3 14x14 n128", {128, 256, 14, 14}, {.out_channels = 256}},
    {"512>512 3x3/2 14x14 n128", {128, 512, 14, 14}, {.out_channels = 512, .stride = 2}},
    {"3>64 7x7/2 224x224 n128",
     {128, 3, 224, 224},
     {.out_channels = 64, .kernel = 7, .stride = 2, .padding = 3}},
    {"16>16 3x3 32x32 n128", {128, 16, 32, 32}, {.out_channels = 16}},
    {"64>64 3x3 8x8 n128", {128, 64, 8, 8}, {.out_channels = 64}},
};

template <class T>
void run_case(Bench& bench, Storage storage, const Case& c, bool compare) {
  const gpu::Queue& q = bench.queue();
  const std::string op = std::string("conv ") + c.what;
  const gpu::Convolution conv(q, op, c.conv, c.shape, {.storage = storage});
  std::printf("# %s %s: %s\n", op.c_str(), name(storage), conv.algorithms().c_str());
  const int channels = c.shape.channels / c.conv.groups, taps = c.conv.kernel * c.conv.kernel;
  const std::vector<std::int64_t> src_dims{c.shape.images, c.shape.channels, c.shape.height,
                                           c.shape.width};
  const std::vector<std::int64_t> dst_dims{c.shape.images, c.conv.out_channels, conv.out_height(),
                                           conv.out_width()};
  const Tensor x = stored(quick_tensor(src_dims, 1, compare), storage);
  const Tensor w = stored(
      quick_tensor({c.conv.out_channels, channels, c.conv.kernel, c.conv.kernel}, 2), storage);
  const Tensor g = stored(quick_tensor(dst_dims, 3, compare), storage);
  const Buffer src = bench.upload(x, storage, true), diff_dst = bench.upload(g, storage, true);
  const Buffer weights = bench.upload(w, Storage::kF32, false);
  const Buffer packed = bench.empty(w.dims, storage, true),
               packed_gradient = bench.empty(w.dims, storage, true);
  const Buffer dst = bench.empty(dst_dims, storage, true),
               diff_src = bench.empty(src_dims, storage, true);
  const Buffer gradient = bench.empty(w.dims, Storage::kF32, false);
  const Buffer workspace = bench.bytes(conv.workspace_bytes());
  std::optional<Tensor> y, dx, dw;
  if (compare) {
    const reference::ConvolutionOptions o{c.conv.stride, c.conv.padding, c.conv.groups};
    y = reference::conv2d(x, w, {}, o);
    auto gradients = reference::conv2d_backward(x, w, g, o);
    dx = std::move(gradients.src);
    dw = std::move(gradients.weight);
  }
  const double item = storage == Storage::kBf16 ? 2 : 4;
  const Work work{item * (elements(x) + elements(w) + elements(g)), conv.flops()};
  const double allowed = tolerance(storage, 1e-4);
  const std::string s = name(storage);
  bench.run({op,
             "pack weights",
             s,
             {},
             1e-7,
             [&] {
               gpu::pack_weights<T>(q, c.conv.out_channels, channels, taps, weights.as(),
                                    packed.as<T>());
             },
             {{&packed, w}}});
  bench.guard(op + " forward", [&] {
    bench.run({op,
               "forward",
               s,
               work,
               allowed,
               [&] {
                 conv.forward(q, src.as<T>(), packed.as<T>(), dst.as<T>(), workspace.memory.data());
               },
               {{&dst, y}}});
  });
  bench.guard(op + " backward data", [&] {
    bench.run({op,
               "backward data",
               s,
               work,
               allowed,
               [&] {
                 conv.backward_data(q, diff_dst.as<T>(), packed.as<T>(), diff_src.as<T>(),
                                    workspace.memory.data());
               },
               {{&diff_src, dx}}});
  });
  bench.guard(op + " backward weights", [&] {
    bench.run({op,
               "backward weights",
               s,
               work,
               allowed,
               [&] {
                 conv.backward_weights(q, src.as<T>(), diff_dst.as<T>(), packed_gradient.as<T>(),
                                       workspace.memory.data());
               },
               {{&packed_gradient, dw}}});
    bench.run({op,
               "fold gradient",
               s,
               {},
               allowed,
               [&] {
                 gpu::fold_gradient<T>(q, c.conv.out_channels, channels, taps,
                                       packed_gradient.as<T>(), true, gradient.as());
               },
               {{&gradient, dw}}});
  });
}

}  // namespace

void test_convolutions(Bench& bench, Storage storage, bool large) {
  const auto each = [&](const Case& c) {
    bench.guard(std::string("conv ") + c.what, [&] {
      storage == Storage::kBf16 ? run_case<Bf16>(bench, storage, c, !large)
                                : run_case<float>(bench, storage, c, !large);
    });
  };
  if (large)
    for (const Case& c : kLarge) each(c);
  else
    for (const Case& c : kSmall) each(c);
}

void test_linear(Bench& bench, bool large) {
  const gpu::Queue& q = bench.queue();
  const gpu::LinearShape s =
      large ? gpu::LinearShape{128, 2048, 1000} : gpu::LinearShape{5, 64, 10};
  const Storage f32 = Storage::kF32;
  const std::string op = large ? "linear 2048>1000 n128" : "linear 64>10";
  const Tensor x = stored(quick_tensor({s.images, s.in}, 1), f32),
               w = stored(quick_tensor({s.out, s.in}, 2), f32);
  const Tensor b = stored(quick_tensor({s.out}, 3), f32),
               g = stored(quick_tensor({s.images, s.out}, 4), f32);
  const Buffer src = bench.upload(x, f32, false), weights = bench.upload(w, f32, false),
               bias = bench.upload(b, f32, false);
  const Buffer diff_dst = bench.upload(g, f32, false), dst = bench.empty(g.dims, f32, false);
  const Buffer diff_src = bench.empty(x.dims, f32, false), dw = bench.empty(w.dims, f32, false),
               db = bench.empty(b.dims, f32, false);
  const reference::LinearGradients e = reference::linear_backward(x, w, g);
  const Work work{4.0 * static_cast<double>(x.elements() + w.elements() + g.elements()),
                  2.0 * s.images * s.in * s.out};
  bench.run({op,
             "forward",
             "f32",
             work,
             1e-5,
             [&] { gpu::linear_forward(q, op, s, src.as(), weights.as(), bias.as(), dst.as()); },
             {{&dst, reference::linear(x, w, b)}}});
  bench.run(
      {op,
       "backward data",
       "f32",
       work,
       1e-5,
       [&] { gpu::linear_backward_data(q, op, s, diff_dst.as(), weights.as(), diff_src.as()); },
       {{&diff_src, e.src}}});
  bench.run({op,
             "backward weights",
             "f32",
             work,
             1e-5,
             [&] {
               gpu::linear_backward_weights(q, op, s, src.as(), diff_dst.as(), true, dw.as(),
                                            db.as());
             },
             {{&dw, e.weight}, {&db, e.bias}}});
}

}  // namespace lockstep::gpu_test
