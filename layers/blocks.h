#pragma once
#include <string>
#include <vector>

#include "layers/layer_builder.h"

namespace lockstep {

/// Appends the parts of a residual network to a graph: stem, residual blocks, head.
class BlockBuilder : private LayerBuilder {
 public:
  BlockBuilder(Graph& graph, const Architecture& architecture)
      : LayerBuilder(graph, architecture), architecture_(architecture) {}

  ValueId stem(ValueId images);

  /// x [C,H,W] -> [group.out_channels, ceil(H/stride), ceil(W/stride)].
  /// `index` counts the blocks of the whole network from 0: stochastic depth grows with it.
  ValueId block(const std::string& name, ValueId x, const BlockGroup& group, int stride, int index);

  /// All blocks, named PREFIX1.block0, PREFIX1.block1, ...
  ValueId groups(const std::string& prefix, ValueId x);

  /// Pooling, classifier "fc" and "loss".
  void head(ValueId x, int classes);

 private:
  std::vector<Convolution> branch_of(const BlockGroup& group, int stride) const;
  ValueId post_activation_block(const std::string& name, ValueId x, const BlockGroup& group,
                                int stride, int index);
  ValueId pre_activation_block(const std::string& name, ValueId x, const BlockGroup& group,
                               int stride, int index);
  /// `x` is what the branch of a block gives, `block_input` what the block reads.
  ValueId finish_branch(const std::string& name, ValueId x, ValueId block_input, int index);
  ValueId learned_skip(const std::string& name, ValueId x, ValueId block_input);
  ValueId squeeze_excitation(const std::string& name, ValueId x);
  bool projects(ValueId x, int out_channels, int stride) const;
  ValueId projection(const std::string& name, ValueId x, int out_channels, int stride);
  ValueId plain_shortcut(const std::string& name, ValueId x, int out_channels, int stride);
  ValueId add(const std::string& name, ValueId branch, ValueId shortcut);

  const Architecture& architecture_;
};

}  // namespace lockstep
