// The graphs of the builders are PyTorch's networks: the same parameters, and with the naive twins
// of the ops the same logits.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tests/golden/golden_nets.h"
#include "tests/golden/reference_graph.h"
#include "tests/layers/golden_model.h"
#include "tests/reference/finite_difference.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using reference::Tensor;

/// Runs a graph forward, norms in training mode, op by op in double precision.
class ReferenceRun {
 public:
  ReferenceRun(const Graph& graph, const GoldenFile& file) : run_(graph) {
    for (const Parameter& p : graph.parameters())
      run_.parameters[p.name] = file.tensor("parameter/" + p.name);
    run_.forward(file.tensor("input"), golden_labels(file), true);
  }
  const Tensor& operator[](ValueId id) const { return run_.value(id); }

 private:
  ReferenceGraph run_;
};

TEST(GoldenModel, HasPyTorchsParametersAndStatistics) {
  for (const fs::path& path : golden_nets()) {
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
  for (const fs::path& path : golden_nets()) {
    const GoldenFile file(path);
    const Graph graph = golden_graph(file);
    const ReferenceRun run(graph, file);
    EXPECT_LT(reference::relative_difference(run[logits_of(graph)], file.tensor("logits")), 1e-7)
        << path;
  }
}

TEST(GoldenModel, ValuesHaveTheInferredShapes) {
  for (const fs::path& path : golden_nets()) {
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
