#include "layers/blocks.h"

#include <algorithm>

namespace lockstep {

namespace {

const std::string kShortcutHint = "use shortcut = B (projection) or C";

// As in ConvNet-AIG: features of a gate, and log-odds that open 85% of the images at the start.
constexpr int kGateFeatures = 16;
constexpr float kOpenAtStart = 1.7346f;

}  // namespace

ValueId BlockBuilder::stem(ValueId images) {
  const int width = architecture_.stem_width;
  // A pre-activation network begins its first block with norm and activation.
  const bool ends_active = !architecture_.pre_activation;
  ValueId x = images;
  if (architecture_.stem == StemKind::kResnetD) {
    const int half = std::max(1, width / 2);
    x = norm_activation("stem", "1", conv("stem.conv1", x, {half, 3, 2, 1}));
    x = norm_activation("stem", "2", conv("stem.conv2", x, {half, 3, 1, 1}));
    x = conv("stem.conv3", x, {width, 3, 1, 1});
    if (ends_active) x = norm_activation("stem", "3", x);
  } else {
    const bool large = architecture_.stem == StemKind::kImagenet;
    x = conv("stem.conv", x, large ? Convolution{width, 7, 2, 1} : Convolution{width, 3, 1, 1});
    if (ends_active) x = norm_activation("stem", "", x);
  }
  if (architecture_.stem == StemKind::kCifar) return x;
  return graph_.add("stem.pool",
                    Pool{.kind = PoolKind::kMax, .kernel = 3, .stride = 2, .padding = 1}, {x});
}

std::vector<BlockBuilder::Convolution> BlockBuilder::branch_of(const BlockGroup& group,
                                                               int stride) const {
  if (architecture_.block == BlockKind::kBasic)
    return {{group.width, 3, stride, 1}, {group.out_channels, 3, 1, 1}};
  return {{group.width, 1, 1, 1},
          {group.width, 3, stride, architecture_.cardinality},
          {group.out_channels, 1, 1, 1}};
}

ValueId BlockBuilder::block(const std::string& name, ValueId x, const BlockGroup& group, int stride,
                            int index) {
  return architecture_.pre_activation ? pre_activation_block(name, x, group, stride, index)
                                      : post_activation_block(name, x, group, stride, index);
}

ValueId BlockBuilder::groups(const std::string& prefix, ValueId x) {
  int index = 0;
  for (std::size_t g = 0; g < architecture_.groups.size(); ++g) {
    const BlockGroup& group = architecture_.groups[g];
    for (int b = 0; b < group.blocks; ++b) {
      const std::string name = prefix + std::to_string(g + 1) + ".block" + std::to_string(b);
      x = block(name, x, group, b == 0 ? group.stride : 1, index++);
    }
  }
  return x;
}

// conv1 - norm1 - relu1 - ... - convN - normN  + shortcut, then relu.
ValueId BlockBuilder::post_activation_block(const std::string& name, ValueId x,
                                            const BlockGroup& group, int stride, int index) {
  const std::vector<Convolution> branch = branch_of(group, stride);
  ValueId y = x;
  for (std::size_t i = 1; i <= branch.size(); ++i) {
    const std::string number = std::to_string(i);
    y = conv(name + ".conv" + number, y, branch[i - 1]);
    if (i < branch.size())
      y = norm_activation(name, number, y);
    else
      y = norm(name + ".norm" + number, y, architecture_.last_gamma);
  }
  y = finish_branch(name, y, x, index);

  const std::string last_relu = name + ".relu" + std::to_string(branch.size());
  if (architecture_.shortcut == ShortcutKind::kPlain) return activation(last_relu, y);
  ValueId shortcut = x;
  if (projects(x, group.out_channels, stride))
    shortcut = projection(name, x, group.out_channels, stride);
  else
    shortcut = plain_shortcut(name, x, group.out_channels, stride);
  return activation(last_relu, add(name, y, shortcut));
}

// norm1 - relu1 - conv1 - norm2 - relu2 - conv2 ...  + shortcut; a projection takes what relu1
// gives (He et al. 2016, appendix), without a norm of its own; the other shortcuts carry x itself.
ValueId BlockBuilder::pre_activation_block(const std::string& name, ValueId x,
                                           const BlockGroup& group, int stride, int index) {
  const std::vector<Convolution> branch = branch_of(group, stride);
  const ValueId active = norm_activation(name, "1", x);
  ValueId y = active;
  for (std::size_t i = 1; i <= branch.size(); ++i) {
    const std::string number = std::to_string(i);
    if (i > 1) y = norm_activation(name, number, y);
    if (i == branch.size() && architecture_.block_dropout > 0)
      y = graph_.add(name + ".dropout", Dropout{architecture_.block_dropout}, {y});
    y = conv(name + ".conv" + number, y, branch[i - 1]);
  }
  y = finish_branch(name, y, x, index);

  if (architecture_.shortcut == ShortcutKind::kPlain) return y;
  const ValueId shortcut = projects(x, group.out_channels, stride)
                               ? projection(name, active, group.out_channels, stride)
                               : plain_shortcut(name, x, group.out_channels, stride);
  return add(name, y, shortcut);
}

ValueId BlockBuilder::finish_branch(const std::string& name, ValueId x, ValueId block_input,
                                    int index) {
  const Architecture& a = architecture_;
  if (a.se_reduction > 0) x = squeeze_excitation(name + ".se", x);
  if (a.residual_scale != 1.0f) x = graph_.add(name + ".scale", Scale{a.residual_scale}, {x});
  if (a.learned_skip > 0) x = learned_skip(name + ".gate", x, block_input);
  return end_branch(name, x, index, a.blocks());
}

// ConvNet-AIG: a gate is chosen by the means of the block's input.
ValueId BlockBuilder::learned_skip(const std::string& name, ValueId x, ValueId block_input) {
  const ImageGate gate{.rate = 1 - architecture_.learned_skip,
                       .rate_weight = architecture_.learned_skip_weight};
  ValueId odds = graph_.add(name + ".pool", GlobalAveragePool{}, {block_input});
  odds = graph_.add(name + ".fc1", Linear{kGateFeatures}, {odds});
  odds = graph_.add(name + ".relu", Activation{}, {odds});
  odds = graph_.add(name + ".fc2", Linear{.out_features = 1, .bias_init = kOpenAtStart}, {odds});
  const ValueId open = graph_.add(name + ".decide", gate, {odds});
  return graph_.add(name + ".scale", ChannelScale{}, {x, open});
}

ValueId BlockBuilder::squeeze_excitation(const std::string& name, ValueId x) {
  const int channels = graph_.value(x).shape.channels;
  const int hidden = std::max(1, channels / architecture_.se_reduction);
  ValueId gate = graph_.add(name + ".pool", GlobalAveragePool{}, {x});
  gate = graph_.add(name + ".fc1", Linear{hidden}, {gate});
  gate = graph_.add(name + ".relu", Activation{}, {gate});
  gate = graph_.add(name + ".fc2", Linear{channels}, {gate});
  gate = graph_.add(name + ".sigmoid", Activation{.kind = ActivationKind::kSigmoid}, {gate});
  return graph_.add(name + ".scale", ChannelScale{}, {x, gate});
}

bool BlockBuilder::projects(ValueId x, int out_channels, int stride) const {
  const bool changes = stride != 1 || graph_.value(x).shape.channels != out_channels;
  return architecture_.shortcut == ShortcutKind::kProjectionEverywhere ||
         (architecture_.shortcut == ShortcutKind::kProjection && changes);
}

ValueId BlockBuilder::projection(const std::string& name, ValueId x, int out_channels, int stride) {
  // ResNet-D: averaging before the 1x1 convolution, so that it does not skip three of four pixels.
  if (architecture_.stem == StemKind::kResnetD && stride > 1) {
    x = graph_.add(name + ".shortcut.pool",
                   Pool{.kind = PoolKind::kAverage,
                        .kernel = stride,
                        .stride = stride,
                        .padding = 0,
                        .ceil_mode = true},
                   {x});
    stride = 1;
  }
  x = conv(name + ".shortcut.conv", x, {out_channels, 1, stride, 1});
  if (architecture_.projection_norm) x = norm(name + ".shortcut.norm", x);
  const float gain = architecture_.projection_gain;
  return gain == 1.0f ? x : graph_.add(name + ".shortcut.scale", Scale{gain}, {x});
}

ValueId BlockBuilder::plain_shortcut(const std::string& name, ValueId x, int out_channels,
                                     int stride) {
  if (stride == 1 && graph_.value(x).shape.channels == out_channels) return x;
  return graph_.add(name + ".shortcut.pad",
                    ChannelPad{.out_channels = out_channels, .stride = stride}, {x}, kShortcutHint);
}

ValueId BlockBuilder::add(const std::string& name, ValueId branch, ValueId shortcut) {
  return graph_.add(name + ".add", Add{}, {branch, shortcut}, kShortcutHint);
}

void BlockBuilder::head(ValueId x, int classes) {
  if (architecture_.pre_activation) x = norm_activation("final", "", x);
  classifier(x, classes, architecture_.head_dropout);
}

}  // namespace lockstep
