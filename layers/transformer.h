#pragma once
#include <optional>

#include "layers/model_architecture.h"
#include "layers/model_keys.h"

namespace lockstep {

/// A transformer encoder on image patches with every default resolved.  Vaswani et al. 2017,
/// arXiv:1706.03762; Dosovitskiy et al. 2021, arXiv:2010.11929, here with the mean over the patches
/// for the classifier (Zhai et al. 2022, arXiv:2106.04560).
/// A hybrid takes its patches from what a residual network makes of the image (there, section 3.1).
struct Transformer : LayerOptions {
  std::optional<Architecture> resnet;  // without its head
  BlockCount blocks{6, 192};
  int patch = 4;
  int heads = 6;
  int ratio = 4;         // features of a block's MLP / of a patch
  bool pre_norm = true;  // else a norm after every sum
  float dropout = 0.0f;  // of every branch's output
};

Transformer resolve_transformer(const ModelOptions& options, Shape input);

/// stem.patches (a convolution) - stem.position, then group1.block0: norm1 - qkv - attention - proj
/// - add1 - norm2 - fc1 - gelu - fc2 - add2; with pre_norm = false qkv - attention - proj - add1 -
/// norm1 - fc1 - gelu - fc2 - add2 - norm2. A hybrid has the residual network's stem, resnet1.block0, ..., and
/// embed.patches - embed.position. Then final.norm (of pre_norm), "pool", "fc", "loss".
Graph build_transformer(const Transformer& net, Shape input, int classes);

}  // namespace lockstep
