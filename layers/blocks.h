#pragma once
#include <string>
#include <vector>

#include "layers/graph.h"
#include "layers/model_architecture.h"

namespace lockstep {

/// Appends the parts of a residual network to a graph: stem, residual blocks, head.
class BlockBuilder {
 public:
  BlockBuilder(Graph& graph, const Architecture& architecture)
      : graph_(graph), architecture_(architecture) {}

  ValueId stem(ValueId images);

  /// x [C,H,W] -> [group.out_channels, ceil(H/stride), ceil(W/stride)].
  /// `index` counts the blocks of the whole network from 0: stochastic depth grows with it.
  ValueId block(const std::string& name, ValueId x, const BlockGroup& group, int stride, int index);

  /// Pooling, classifier "fc" and "loss".
  void head(ValueId x, int classes);

 private:
  struct Convolution {
    int out_channels, kernel, stride, groups;
  };
  std::vector<Convolution> branch_of(const BlockGroup& group, int stride) const;
  ValueId post_activation_block(const std::string& name, ValueId x, const BlockGroup& group,
                                int stride, int index);
  ValueId pre_activation_block(const std::string& name, ValueId x, const BlockGroup& group,
                               int stride, int index);
  ValueId finish_branch(const std::string& name, ValueId x, int index);
  ValueId squeeze_excitation(const std::string& name, ValueId x);
  bool projects(ValueId x, int out_channels, int stride) const;
  ValueId projection(const std::string& name, ValueId x, int out_channels, int stride);
  ValueId plain_shortcut(const std::string& name, ValueId x, int out_channels, int stride);
  ValueId add(const std::string& name, ValueId branch, ValueId shortcut);

  ValueId conv(const std::string& name, ValueId x, const Convolution& c);
  ValueId norm(const std::string& name, ValueId x, float gamma = 1.0f);
  ValueId activation(const std::string& name, ValueId x);
  ValueId norm_activation(const std::string& prefix, const std::string& suffix, ValueId x);

  Graph& graph_;
  const Architecture& architecture_;
};

}  // namespace lockstep
