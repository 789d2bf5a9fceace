#include "layers/model_table.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/layers/model_helpers.h"

namespace lockstep {
namespace {

using namespace testing_models;

std::vector<std::string> row_names(const std::vector<ModelRow>& rows) {
  std::vector<std::string> found;
  for (const ModelRow& row : rows) found.push_back(row.name);
  return found;
}

TEST(ModelTable, BlocksThatAreAlikeShareARow) {
  const Graph graph = build_model(model("resnet", 32), kCifar, 10);
  const std::vector<ModelRow> rows = model_table(graph, TableDetail::kBlocks);
  EXPECT_EQ(row_names(rows),
            (std::vector<std::string>{"stem", "group1.block0-4", "group2.block0", "group2.block1-4",
                                      "group3.block0", "group3.block1-4", "pool", "fc", "loss"}));
  EXPECT_EQ(rows[0].parameters, 16 * 27 + 32);
  EXPECT_EQ(rows[0].dst, (Shape{16, 32, 32}));
  EXPECT_EQ(rows[1].parameters, 5 * (2 * 16 * 16 * 9 + 4 * 16));
  EXPECT_EQ(rows[1].ops, 5 * 7);
  EXPECT_EQ(rows[2].dst, (Shape{32, 16, 16}));
}

TEST(ModelTable, RowsAddUpToTheTotal) {
  ModelOptions options = model("resnet", 50);
  options.se_reduction = 16;
  const Graph graph = build_model(options, kImagenet, 1000);
  const ModelRow total = model_total(graph);
  EXPECT_EQ(total.parameters, graph.parameter_count());
  EXPECT_EQ(total.dst, (Shape{1000, 1, 1}));
  for (const TableDetail detail : {TableDetail::kBlocks, TableDetail::kOps}) {
    ModelRow sum;
    for (const ModelRow& row : model_table(graph, detail)) {
      sum.ops += row.ops;
      sum.parameters += row.parameters;
      sum.cost.forward_flops += row.cost.forward_flops;
      sum.cost.backward_bytes += row.cost.backward_bytes;
    }
    EXPECT_EQ(sum.ops, static_cast<int>(graph.ops().size()));
    EXPECT_EQ(sum.parameters, total.parameters);
    EXPECT_EQ(sum.cost.forward_flops, total.cost.forward_flops);  // whole numbers: exact in double
    EXPECT_EQ(sum.cost.backward_bytes, total.cost.backward_bytes);
  }
}

TEST(ModelTable, OpsNameTheirKinds) {
  const Graph graph = build_model(model("resnet", 8), kCifar, 10);
  const std::vector<ModelRow> rows = model_table(graph, TableDetail::kOps);
  EXPECT_EQ(rows.size(), graph.ops().size());
  EXPECT_EQ(rows[0].name, "stem.conv");
  EXPECT_EQ(rows[0].kind, "conv2d");
}

TEST(ModelTable, TextIsAligned) {
  const Graph graph = build_model(model("resnet", 8), kCifar, 10);
  for (const TableDetail detail : {TableDetail::kBlocks, TableDetail::kOps}) {
    std::istringstream text(model_table_text(graph, detail));
    std::string line, last;
    std::size_t width = 0, lines = 0;
    for (; std::getline(text, line); ++lines, last = line) {
      if (lines == 0) width = line.size();
      EXPECT_EQ(line.size(), width) << line;
    }
    EXPECT_EQ(lines, model_table(graph, detail).size() + 2);
    EXPECT_EQ(last.rfind("total ", 0), 0u);
    EXPECT_NE(last.find(" " + std::to_string(graph.parameter_count()) + " "), std::string::npos);
  }
}

}  // namespace
}  // namespace lockstep
