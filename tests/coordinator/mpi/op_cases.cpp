#include "tests/coordinator/mpi/op_cases.h"

namespace lockstep {

ValueId conv(Graph& g, const char* name, ValueId x, int channels, int kernel, int stride) {
  return g.add(
      name,
      Conv2d{.out_channels = channels, .kernel = kernel, .stride = stride, .padding = kernel / 2},
      {x});
}

ValueId relu(Graph& g, const char* name, ValueId x) { return g.add(name, Activation{}, {x}); }

namespace {

int channels_of(const Graph& g, ValueId x) { return g.value(x).shape.channels; }

/// x -> one op.
OpCase one(const char* name, OpAttributes op) {
  return {name, [op](Graph& g, ValueId x) { return g.add("op", op, {x}); }};
}

/// x -> a convolution that keeps the channels.
OpCase convolution(const char* name, Conv2d c) {
  return {name, [c](Graph& g, ValueId x) {
            Conv2d same = c;
            same.out_channels = channels_of(g, x);
            return g.add("op", same, {x});
          }};
}

ValueId squeeze_excitation(Graph& g, ValueId x) {
  const ValueId pooled = g.add("squeeze", GlobalAveragePool{}, {x});
  const ValueId few = relu(g, "squeeze.relu", g.add("reduce", Linear{3}, {pooled}));
  const ValueId gate = g.add("expand", Linear{channels_of(g, x)}, {few});
  const ValueId open = g.add("gate", Activation{.kind = ActivationKind::kSigmoid}, {gate});
  return g.add("op", ChannelScale{}, {x, open});
}

/// A branch beside its shortcut, which a gate of every image opens; both read x.
ValueId learned_skip(Graph& g, ValueId x) {
  const ValueId y = g.add("norm", BatchNorm{}, {conv(g, "branch", x, channels_of(g, x))});
  const ValueId pooled = g.add("squeeze", GlobalAveragePool{}, {x});
  const ValueId few = relu(g, "squeeze.relu", g.add("reduce", Linear{3}, {pooled}));
  const ValueId open = g.add("gate", ImageGate{.rate = 0.6f, .rate_weight = 0.5f},
                             {g.add("odds", Linear{1}, {few})});
  return g.add("add", Add{}, {g.add("op", ChannelScale{}, {y, open}), x});
}

std::vector<OpCase> convolutions() {
  return {
      convolution("conv_bias", {.bias = true}),
      convolution("conv_stride", {.stride = 2}),
      convolution("conv_1x1", {.kernel = 1, .padding = 0}),
      convolution("conv_1x1_stride", {.kernel = 1, .stride = 2, .padding = 0, .bias = true}),
      convolution("conv_5x5", {.kernel = 5, .padding = 2}),
      convolution("conv_7x7_stride", {.kernel = 7, .stride = 2, .padding = 3}),
      one("conv_transpose", ConvTranspose2d{.out_channels = 16}),
      one("conv_transpose_4x4", ConvTranspose2d{.out_channels = 8, .kernel = 4, .padding = 1}),
      convolution("conv_no_padding", {.kernel = 3, .padding = 0}),
      {"conv_groups",
       [](Graph& g, ValueId x) {
         const int wide = 2 * channels_of(g, x);
         return g.add("op", Conv2d{.out_channels = wide, .groups = 2, .bias = true},
                      {conv(g, "wide", x, wide, 1)});
       }},
      {"conv_depthwise",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add("op", Conv2d{.out_channels = c, .groups = c}, {x});
       }},
      {"conv_depthwise_7x7",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add(
             "op", Conv2d{.out_channels = c, .kernel = 7, .padding = 3, .groups = c, .bias = true},
             {x});
       }},
      {"conv_on_one_pixel",
       [](Graph& g, ValueId x) {
         const Shape s = g.value(x).shape;
         const ValueId pixel =
             g.add("shrink",
                   Conv2d{.out_channels = s.channels, .kernel = 3, .stride = 6, .padding = 1}, {x});
         return relu(g, "relu",
                     g.add("norm", GroupNorm{.groups = 1}, {conv(g, "op", pixel, s.channels, 3)}));
       }},
      {"conv_to_one_pixel",  // and a pool of it
       [](Graph& g, ValueId x) {
         const ValueId pixel =
             g.add("op", Conv2d{.out_channels = channels_of(g, x), .stride = 6}, {x});
         return g.add("pool", GlobalAveragePool{}, {relu(g, "relu", pixel)});
       }},
  };
}

std::vector<OpCase> norms() {
  return {
      one("batch_norm", BatchNorm{}),
      {"batch_norm_relu",
       [](Graph& g, ValueId x) { return relu(g, "relu", g.add("op", BatchNorm{}, {x})); }},
      {"batch_norm_add",
       [](Graph& g, ValueId x) {
         return g.add("add", Add{}, {g.add("op", BatchNorm{}, {x}), x});
       }},
      {"batch_norm_add_relu",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", BatchNorm{}, {conv(g, "main", x, channels_of(g, x))});
         return relu(g, "relu", g.add("add", Add{}, {x, y}));
       }},
      {"batch_norms_on_both_paths",
       [](Graph& g, ValueId x) {
         const ValueId a = g.add("norm1", BatchNorm{}, {conv(g, "main", x, channels_of(g, x))});
         const ValueId b = g.add("norm2", BatchNorm{}, {conv(g, "short", x, channels_of(g, x), 1)});
         return relu(g, "relu", g.add("add", Add{}, {a, b}));
       }},
      {"batch_norm_read_three_times",
       [](Graph& g, ValueId x) {
         const ValueId y = relu(g, "relu", g.add("op", BatchNorm{}, {x}));
         const ValueId z = g.add("add1", Add{}, {conv(g, "conv1", y, channels_of(g, x)), y});
         return g.add("add2", Add{}, {z, conv(g, "conv2", y, channels_of(g, x), 1)});
       }},
      {"batch_norm_added_to_itself",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", BatchNorm{}, {x});
         return relu(g, "relu", g.add("add", Add{}, {y, y}));
       }},
      {"batch_norm_twice",
       [](Graph& g, ValueId x) {
         return g.add("norm2", BatchNorm{}, {relu(g, "relu", g.add("norm1", BatchNorm{}, {x}))});
       }},
      one("group_norm", GroupNorm{.groups = 2}),
      one("layer_norm", GroupNorm{.groups = 1}),
      {"layer_norm_of_pixels",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("op", LayerNorm{.eps = 1e-3f}, {x}));
       }},
      {"layer_norm_of_vectors",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", LayerNorm{}, {g.add("pool", GlobalAveragePool{}, {x})});
         return relu(g, "relu", y);
       }},
      {"instance_norm",  // its mean is constant: something must follow for a gradient to be left
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("op", GroupNorm{.groups = channels_of(g, x)}, {x}));
       }},
  };
}

/// After a convolution that makes queries, keys and values.
OpCase attention(const char* name, int heads) {
  return {name, [heads](Graph& g, ValueId x) {
            const ValueId qkv = conv(g, "qkv", x, 3 * channels_of(g, x), 1);
            const ValueId y = g.add("op", Attention{heads}, {qkv});
            return g.add("gelu", Activation{.kind = ActivationKind::kGelu}, {y});
          }};
}

/// Every row of the table, those with an alpha at another than the usual.
std::vector<OpCase> activations() {
  std::vector<OpCase> all;
  for (const ActivationRow& row : kActivations) {
    const float alpha = row.kind == ActivationKind::kLeakyRelu ? 0.1f : 0.7f * row.usual_alpha;
    all.push_back(one(row.word, Activation{row.kind, alpha}));
  }
  return all;
}

std::vector<OpCase> elementwise() {
  return {
      one("leaky_relu_negative", Activation{ActivationKind::kLeakyRelu, -0.2f}),
      one("scale", Scale{0.3f}),
      {"lerp",  // read by a convolution besides, and its start twice
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         const ValueId end = conv(g, "end", x, c), weight = conv(g, "weight", x, c, 1);
         const ValueId gate = g.add("gate", Activation{.kind = ActivationKind::kSigmoid}, {weight});
         return conv(g, "last", g.add("op", Lerp{}, {x, end, gate}), c, 1);
       }},
      one("layer_scale", LayerScale{0.5f}),
      {"position_embedding",
       [](Graph& g, ValueId x) {
         const ValueId y = g.add("op", PositionEmbedding{}, {x});
         return g.add("add", Add{}, {relu(g, "relu", y), y});
       }},
      attention("attention", 1),
      attention("attention_of_two_heads", 2),
      {"flatten",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", g.add("fc", Linear{9}, {g.add("op", Flatten{}, {x})}));
       }},
      {"upsample",  // its mean alone would be the input's
       [](Graph& g, ValueId x) {
         return relu(g, "relu", conv(g, "conv", g.add("op", Upsample{}, {x}), channels_of(g, x)));
       }},
      {"upsample_by_3",
       [](Graph& g, ValueId x) {
         return relu(g, "relu", conv(g, "conv", g.add("op", Upsample{3}, {x}), channels_of(g, x)));
       }},
      {"add_to_itself",
       [](Graph& g, ValueId x) {
         return g.add("op", Add{}, {x, x});
       }},
      {"add_three",
       [](Graph& g, ValueId x) {
         const ValueId a = g.add("op1", Add{}, {x, conv(g, "conv1", x, channels_of(g, x))});
         return g.add("op2", Add{}, {a, relu(g, "relu", x)});
       }},
  };
}

std::vector<OpCase> channels_and_pools() {
  return {
      {"concat",
       [](Graph& g, ValueId x) {
         const int c = channels_of(g, x);
         return g.add("op", Concat{},
                      {conv(g, "a", x, c), x, conv(g, "b", x, 2 * c, 1), relu(g, "r", x)});
       }},
      {"concat_with_itself",
       [](Graph& g, ValueId x) {
         return g.add("op", Concat{}, {x, x});
       }},
      {"channel_pad",
       [](Graph& g, ValueId x) {
         return g.add("op", ChannelPad{2 * channels_of(g, x), 2}, {x});
       }},
      {"channel_pad_stride_1",
       [](Graph& g, ValueId x) {
         return g.add("op", ChannelPad{3 * channels_of(g, x), 1}, {x});
       }},
      one("max_pool", Pool{PoolKind::kMax, 3, 2, 1}),
      one("max_pool_overlapping", Pool{PoolKind::kMax, 3, 1, 1}),
      one("max_pool_remainder", Pool{PoolKind::kMax, 2, 2, 0}),
      one("max_pool_ceil", Pool{PoolKind::kMax, 2, 2, 0, true}),
      one("max_pool_ceil_padded", Pool{PoolKind::kMax, 3, 2, 1, true}),
      one("average_pool", Pool{PoolKind::kAverage, 3, 2, 1}),
      one("average_pool_overlapping", Pool{PoolKind::kAverage, 3, 1, 1}),
      one("average_pool_ceil", Pool{PoolKind::kAverage, 2, 2, 0, true}),
      one("average_pool_ceil_padded", Pool{PoolKind::kAverage, 3, 2, 1, true}),
      {"squeeze_excitation", squeeze_excitation},
      {"learned_skip", learned_skip},
      {"linear_without_bias",
       [](Graph& g, ValueId x) {
         const ValueId pooled = g.add("pool", GlobalAveragePool{}, {x});
         return relu(g, "relu", g.add("op", Linear{13, false}, {pooled}));
       }},
  };
}

}  // namespace

std::vector<OpCase> op_cases() {
  std::vector<OpCase> all = convolutions();
  for (const auto& part : {norms(), activations(), elementwise(), channels_and_pools()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace lockstep
