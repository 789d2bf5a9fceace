#pragma once
#include <string>
#include <variant>

#include "layers/ops/activation.h"
#include "layers/ops/add.h"
#include "layers/ops/attention.h"
#include "layers/ops/batch_norm.h"
#include "layers/ops/branch_gate.h"
#include "layers/ops/channel_pad.h"
#include "layers/ops/channel_scale.h"
#include "layers/ops/concat.h"
#include "layers/ops/conv2d.h"
#include "layers/ops/conv_transpose2d.h"
#include "layers/ops/dropout.h"
#include "layers/ops/flatten.h"
#include "layers/ops/global_average_pool.h"
#include "layers/ops/group_norm.h"
#include "layers/ops/image_gate.h"
#include "layers/ops/layer_norm.h"
#include "layers/ops/layer_scale.h"
#include "layers/ops/lerp.h"
#include "layers/ops/linear.h"
#include "layers/ops/pixel_cross_entropy.h"
#include "layers/ops/pool.h"
#include "layers/ops/position_embedding.h"
#include "layers/ops/scale.h"
#include "layers/ops/softmax_cross_entropy.h"
#include "layers/ops/stochastic_depth.h"
#include "layers/ops/upsample.h"

namespace lockstep {

/// The attributes of any op: what layers/ops/NAME.h describes.
using OpAttributes =
    std::variant<Conv2d, ConvTranspose2d, BatchNorm, GroupNorm, LayerNorm, LayerScale,
                 PositionEmbedding, Activation, Add, Lerp, Attention, Concat, ChannelPad, Pool,
                 Upsample, Flatten, GlobalAveragePool, Linear, Dropout, StochasticDepth, BranchGate,
                 ImageGate, Scale, ChannelScale, SoftmaxCrossEntropy, PixelCrossEntropy>;

template <class... Ops>
constexpr bool are_described(const std::variant<Ops...>*) {
  return (is_op_description<Ops>() && ...);
}
static_assert(are_described(static_cast<OpAttributes*>(nullptr)));

OpTraits traits_of(const OpAttributes& attributes);

/// The ops that end a graph: they have no output value.
bool is_loss(const OpAttributes& attributes);

/// "conv2d", "batch_norm", ...: the op's kind as tables and messages print it.
std::string kind_name(const OpAttributes& attributes);

}  // namespace lockstep
