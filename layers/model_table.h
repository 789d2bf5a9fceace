#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/graph.h"

namespace lockstep {

/// One line of a model's table: an op, or a block ("stem", "group1.block0", "fc"). Blocks that are
/// alike, one after another, share a row ("group1.block1-2"), and the figures are those of all.
struct ModelRow {
  std::string name;
  std::string kind;  // of an op; empty for a block
  Shape dst;         // what leaves it; of the loss one number
  int ops = 0;
  std::int64_t parameters = 0;
  OpCost cost;  // of one image
};

enum class TableDetail { kBlocks, kOps };

std::vector<ModelRow> model_table(const Graph& graph, TableDetail detail);

/// The sum of all rows, named "total"; dst is that of the logits.
ModelRow model_total(const Graph& graph);

/// Aligned text with a heading, and the total as the last line.
std::string model_table_text(const Graph& graph, TableDetail detail);

}  // namespace lockstep
