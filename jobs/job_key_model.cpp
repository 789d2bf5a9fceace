#include "jobs/job_key_kinds.h"
#include "layers/model.h"

namespace lockstep {
namespace {

bool is_residual_scale(const std::string& text) {
  double value = 0;
  return text == "1/L" || (read_value(text, value) && std::isfinite(value) && value > 0);
}

}  // namespace

std::vector<JobKey> model_keys() {
  return {
      word(FIELD(model.family), model_families(),
           "Which network. custom: a residual one of `counts` and `widths`."),
      number(FIELD(model.depth), at_least(1),
             "Layers: CIFAR 20, 32, 44, 56, 110 (6n+2; with block = bottleneck 9n+2: 164, 1001); "
             "ImageNet 18, 34, 50, 101, 152; densenet 40, "
             "100 (CIFAR), 121, 161, 169, 201, 264."),
      word(FIELD(model.stem), {"auto", "cifar", "imagenet", "resnet_d"},
           "First layers: 3x3; 7x7/2 and max pool; three 3x3 and max pool."),
      number(FIELD(model.stem_width), at_least(0), "Channels of the stem; 0: the family's own."),
      word(FIELD(model.block), {"auto", "basic", "bottleneck"}, "Two 3x3, or 1x1, 3x3, 1x1."),
      flag(FIELD(model.pre_activation), "Norm and activation before each convolution."),
      number(FIELD(model.widen), at_least(1), "Factor of every group's width: k of WRN-depth-k."),
      number(FIELD(model.cardinality), at_least(0),
             "Groups of a bottleneck's 3x3 convolution; 0: the family's own."),
      number(FIELD(model.base_width), at_least(0),
             "Width of one of them at 64 channels (4 in 32x4d); 0: the family's own."),
      word(FIELD(model.shortcut), {"A", "B", "C", "none"},
           "A: pad with zeros; B: project where shapes change; C: project everywhere; none: a "
           "plain net."),
      flag(FIELD(model.projection_norm),
           "shortcut = B, C: a norm behind projections (pre-activation networks have none)."),
      number(FIELD(model.projection_gain), above(0),
             "shortcut = B, C: factor of what projections give."),
      number(FIELD(model.se_reduction), at_least(0), "Squeeze-excitation, usually 16; 0: none."),
      word(
          FIELD(model.norm), {"auto", "batch", "group", "layer"},
          "Normalization; auto: layer in convnext and transformer (there of a pixel), else batch."),
      number(FIELD(model.norm_groups), at_least(1), "norm = group: how many."),
      number(FIELD(model.norm_momentum), above_zero_to(1),
             "Weight of a step in running statistics."),
      number(FIELD(model.norm_eps), above(0), "Added to variances."),
      number(FIELD(model.last_gamma), between(0, 1),
             "Initial gamma of every branch's last norm; 0: blocks start as the identity."),
      number(FIELD(model.dropout), from_zero_below(1), "Probability to drop; 0: off."),
      number(FIELD(model.stochastic_depth), from_zero_below(1),
             "Probability to drop the last block, growing linearly from 0; 0: off."),
      number(FIELD(model.conditional_skip), from_zero_below(1),
             "Likewise to skip it in a whole step: its branch is left out (its running statistics "
             "stay), else "
             "multiplied by 1; in evaluation by the probability of 1."),
      number(FIELD(model.learned_skip), from_zero_below(1),
             "Residual networks: share of the images that skip a block, by a gate that learns "
             "which ones (ConvNet-AIG); every block has one. 0: none. A branch is computed for all "
             "images all the same."),
      number(FIELD(model.learned_skip_weight), above(0),
             "Weight of the loss that keeps the share: (p - share)^2 of every gate's probability p "
             "to skip, a mean over the images; the loss that is shown is without it."),
      text(FIELD(model.residual_scale), "a number above 0, or 1/L", is_residual_scale,
           "Factor of every branch before the sum: x + s F(x); 1/L: one over the number L of "
           "blocks, x + F(x)/L."),
      word(FIELD(model.activation), model_activations(),
           "Activation; auto: gelu in convnext and transformer, else relu."),
      number(FIELD(model.activation_alpha), at_least(0), "leaky_relu, elu: alpha; 0: the usual."),
      number(FIELD(model.label_smoothing), from_zero_below(1),
             "Share of the label given to all classes."),
      numbers(
          FIELD(model.counts), at_least(1),
          "custom, highway (3,3,3), mlp (8), convnext (3,3,9,3), transformer (6): blocks of every "
          "group."),
      numbers(FIELD(model.widths), at_least(1),
              "Likewise, channels of every group (16,32,64; 256; 96,192,384,768; 192). unet: of "
              "every level, 64,128,256,512,1024."),
      number(FIELD(model.gate_bias), between(-20, 20),
             "highway: where the gates' biases start; below 0 they carry first."),
      number(
          FIELD(model.mlp_ratio), at_least(0),
          "mlp, convnext, transformer: features inside a block for each outside; 0: the family's "
          "own, 1, 4, 4."),
      number(FIELD(model.patch), between(0, 64),
             "convnext, transformer: side of the first convolution's patches, in pixels; 0: 4, in "
             "convnext 2 below 64 pixels of height; after model.hybrid 1, of its pixels."),
      number(FIELD(model.layer_scale), between(0, 1),
             "convnext: where the factors of every branch's channels start."),
      numbers(FIELD(model.hybrid), at_least(1),
              "transformer: blocks of every group of a ResNet before the patches, e.g. 3,4,6 "
              "(hybrid ViT). model.stem, stem_width "
              "(64; 16 below 64 pixels of height), block, shortcut, se_reduction and last_gamma "
              "are its; it has batch norm and, "
              "unless model.activation says another, ReLU. Empty: none."),
      number(FIELD(model.heads), at_least(0),
             "transformer: of its attention; 0: one of 32 features."),
      flag(FIELD(model.pre_norm),
           "transformer: norms before attention and MLP, not after the sum."),
      word(FIELD(model.skip), {"concat", "add"}, "unet: how a skip joins the decoder."),
      word(FIELD(model.upsample), {"transposed", "bilinear"},
           "unet: 2x2 transposed convolution, or 1x1 convolution and bilinear enlargement."),
      flag(FIELD(model.residual),
           "unet: the two convolutions of every level are a residual block, with a projection "
           "where the channels change."),
      number(FIELD(model.growth), at_least(0),
             "densenet: channels that a layer adds; 0: the family's own, 12 or 32."),
      number(FIELD(model.compression), between(0, 1),
             "densenet: part of the channels that transitions keep; 0: the family's own."),
  };
}

}  // namespace lockstep
