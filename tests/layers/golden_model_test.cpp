// The graphs of the builders are PyTorch's networks: the same parameters, and with the naive twins
// of the ops the same logits.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/golden/golden_file.h"
#include "tests/layers/golden_model.h"
#include "tests/reference/channels.h"
#include "tests/reference/classifier.h"
#include "tests/reference/convolution.h"
#include "tests/reference/elementwise.h"
#include "tests/reference/finite_difference.h"
#include "tests/reference/normalization.h"
#include "tests/reference/pooling.h"
#include "tests/reference/upsampling.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using reference::Tensor;

std::vector<fs::path> net_files() {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(LOCKSTEP_SOURCE_DIR "/tests/golden"))
    if (entry.path().extension() == ".golden" && entry.path().stem() != "ops")
      paths.push_back(entry.path());
  return paths;
}

/// Runs a graph forward, norms in training mode, op by op in double precision.
class ReferenceRun {
 public:
  ReferenceRun(const Graph& graph, const GoldenFile& file) : graph_(graph), file_(file) {
    values_.resize(graph.values().size());
    values_[0] = file.tensor("input");
    for (const Op& op : graph.ops()) {
      if (op.output == kNone) continue;
      op_ = &op;
      values_[static_cast<std::size_t>(op.output)] =
          std::visit([this](const auto& attributes) { return run(attributes); }, op.attributes);
    }
  }
  const Tensor& operator[](ValueId id) const { return values_[static_cast<std::size_t>(id)]; }

 private:
  const Tensor& in(std::size_t i = 0) const { return (*this)[op_->inputs.at(i)]; }
  const Tensor& parameter(std::size_t i) const {
    return file_.tensor("parameter/" + graph_.parameter(op_->parameters.at(i)).name);
  }

  Tensor run(const Conv2d& c) {
    return reference::conv2d(in(), parameter(0), c.bias ? parameter(1) : Tensor{},
                             {c.stride, c.padding, c.groups});
  }
  Tensor run(const ConvTranspose2d& c) {
    return reference::conv_transpose2d(in(), parameter(0), c.stride, c.padding);
  }
  Tensor run(const Upsample& u) { return reference::upsample(in(), u.factor); }
  // The attributes are f32: 1e-5f differs from 1e-5 in its ninth digit.
  Tensor run(const BatchNorm& b) {
    return reference::batch_norm(in(), parameter(0), parameter(1), b.eps).dst;
  }
  Tensor run(const GroupNorm& g) {
    return reference::group_norm(in(), parameter(0), parameter(1), g.groups, g.eps).dst;
  }
  Tensor run(const Activation& a) {
    using Kind = reference::ActivationKind;
    switch (a.kind) {
      case ActivationKind::kRelu:
        return reference::activation(in(), Kind::kRelu);
      case ActivationKind::kLeakyRelu:
        return reference::activation(in(), Kind::kLeakyRelu, a.alpha);
      case ActivationKind::kElu:
        return reference::activation(in(), Kind::kElu, a.alpha);
      case ActivationKind::kGelu:
        return reference::activation(in(), Kind::kGelu);
      case ActivationKind::kSigmoid:
        return reference::activation(in(), Kind::kSigmoid);
    }
    throw std::logic_error("an activation without a twin");
  }
  Tensor run(const Add&) { return reference::add(in(0), in(1)); }
  Tensor run(const Concat&) { return reference::concat({in(0), in(1)}); }
  Tensor run(const ChannelPad& p) {
    return reference::channel_pad(in(), {.out_channels = p.out_channels, .stride = p.stride});
  }
  Tensor run(const Pool& p) {
    const reference::PoolOptions options{p.kernel, p.stride, p.padding, p.ceil_mode, false};
    return p.kind == PoolKind::kMax ? reference::max_pool(in(), options)
                                    : reference::average_pool(in(), options);
  }
  Tensor run(const GlobalAveragePool&) {
    Tensor pooled = reference::global_average_pool(in());
    pooled.dims.resize(2);
    return pooled;
  }
  Tensor run(const Linear&) { return reference::linear(in(), parameter(0), parameter(1)); }
  Tensor run(const Scale& s) { return reference::scale(in(), s.alpha); }
  Tensor run(const ChannelScale&) { return reference::channel_scale(in(0), in(1)); }
  template <class Random>
  Tensor run(const Random&) {
    throw std::logic_error("no golden net draws random numbers, nor has two losses");
  }

  const Graph& graph_;
  const GoldenFile& file_;
  const Op* op_ = nullptr;
  std::vector<Tensor> values_;
};

TEST(GoldenModel, HasPyTorchsParametersAndStatistics) {
  for (const fs::path& path : net_files()) {
    const GoldenFile file(path);
    const Graph graph = golden_graph(file);
    const std::vector<std::string> names = file.names("parameter/");
    EXPECT_EQ(graph.parameters().size(), names.size()) << path;
    for (const Parameter& p : graph.parameters()) {
      ASSERT_TRUE(file.has("parameter/" + p.name)) << path << ' ' << p.name;
      EXPECT_EQ(p.dims, file.tensor("parameter/" + p.name).dims) << path << ' ' << p.name;
    }
    std::set<std::string> statistics;
    for (const Statistic& s : graph.statistics())
      statistics.insert(s.name.substr(0, s.name.rfind('.')) + ".running_" +
                        s.name.substr(s.name.rfind('.') + 1));
    const std::vector<std::string> wanted = file.names("statistic/");
    EXPECT_EQ(statistics, std::set<std::string>(wanted.begin(), wanted.end())) << path;
  }
}

TEST(GoldenModel, HasPyTorchsLogits) {
  for (const fs::path& path : net_files()) {
    const GoldenFile file(path);
    const Graph graph = golden_graph(file);
    const ReferenceRun run(graph, file);
    EXPECT_LT(reference::relative_difference(run[logits_of(graph)], file.tensor("logits")), 1e-7)
        << path;
  }
}

TEST(GoldenModel, ValuesHaveTheInferredShapes) {
  for (const fs::path& path : net_files()) {
    const GoldenFile file(path);
    const Graph graph = golden_graph(file);
    const ReferenceRun run(graph, file);
    for (ValueId id = 0; id < static_cast<ValueId>(graph.values().size()); ++id) {
      const Value& value = graph.value(id);
      const std::int64_t images = file.integer("batch");
      EXPECT_EQ(run[id].elements(), images * value.shape.elements()) << path << ' ' << value.name;
      if (run[id].dims.size() == 4) {
        EXPECT_EQ(run[id].dims, (std::vector<std::int64_t>{images, value.shape.channels,
                                                           value.shape.height, value.shape.width}))
            << path << ' ' << value.name;
      }
    }
  }
}

}  // namespace
}  // namespace lockstep
