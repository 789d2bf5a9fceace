#include "layers/model_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>

#include "layers/model.h"

namespace lockstep {

namespace {

/// "group1.block0" of "group1.block0.conv1", "stem" of "stem.conv", "fc" of "fc".
std::string block_of(const std::string& op) {
  const std::size_t first = op.find('.');
  if (op.rfind("group", 0) != 0 || first == std::string::npos) return op.substr(0, first);
  return op.substr(0, op.find('.', first + 1));
}

ModelRow row_of(const Graph& graph, const Op& op) {
  ModelRow row{.name = op.name,
               .kind = kind_name(op.attributes),
               .dst = op.output == kNone ? Shape{1, 1, 1} : graph.value(op.output).shape,
               .ops = 1,
               .cost = op_cost(graph, op)};
  for (ParameterId id : op.parameters) row.parameters += graph.parameter(id).elements();
  return row;
}

void accumulate(ModelRow& sum, const ModelRow& row) {
  sum.dst = row.dst;
  sum.ops += row.ops;
  sum.parameters += row.parameters;
  sum.cost.forward_flops += row.cost.forward_flops;
  sum.cost.backward_flops += row.cost.backward_flops;
  sum.cost.forward_bytes += row.cost.forward_bytes;
  sum.cost.backward_bytes += row.cost.backward_bytes;
}

std::vector<ModelRow> rows_of_ops(const Graph& graph) {
  std::vector<ModelRow> rows;
  for (const Op& op : graph.ops()) rows.push_back(row_of(graph, op));
  return rows;
}

std::vector<ModelRow> rows_of_blocks(const Graph& graph) {
  std::vector<ModelRow> rows;
  for (const Op& op : graph.ops()) {
    const std::string name = block_of(op.name);
    if (rows.empty() || rows.back().name != name) rows.push_back({.name = name});
    accumulate(rows.back(), row_of(graph, op));
  }
  return rows;
}

bool alike(const ModelRow& a, const ModelRow& b) {
  const auto group = [](const ModelRow& row) { return row.name.substr(0, row.name.find('.')); };
  return group(a) == group(b) && a.dst == b.dst && a.ops == b.ops && a.parameters == b.parameters &&
         a.cost.forward_flops == b.cost.forward_flops &&
         a.cost.backward_flops == b.cost.backward_flops;
}

/// block1 ... block17 of one group become "group1.block1-17".
std::vector<ModelRow> join_alike(const std::vector<ModelRow>& rows) {
  std::vector<ModelRow> joined;
  for (std::size_t i = 0; i < rows.size();) {
    std::size_t end = i + 1;
    while (end < rows.size() && alike(rows[i], rows[end])) ++end;
    ModelRow row = rows[i];
    for (std::size_t j = i + 1; j < end; ++j) accumulate(row, rows[j]);
    if (end > i + 1)
      row.name.append(1, '-').append(rows[end - 1].name.substr(row.name.find("block") + 5));
    joined.push_back(std::move(row));
    i = end;
  }
  return joined;
}

using Line = std::array<std::string, 7>;

/// In millions, with three decimals.
std::string millions(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3f", value / 1e6);
  return text.data();
}

Line line_of(const ModelRow& row) {
  return {row.name,
          row.kind,
          to_string(row.dst),
          std::to_string(row.parameters),
          millions(row.cost.forward_flops),
          millions(row.cost.backward_flops),
          millions(row.cost.forward_bytes + row.cost.backward_bytes)};
}

/// Columns as wide as their widest entry, names to the left, figures to the right.
std::string aligned(const std::vector<Line>& lines) {
  std::array<std::size_t, std::tuple_size_v<Line>> widths{};
  for (const Line& line : lines)
    for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], line[c].size());
  std::string text;
  for (const Line& line : lines) {
    for (std::size_t c = 0; c < line.size(); ++c) {
      if (widths[c] == 0) continue;  // blocks have no kind
      const std::string padding(widths[c] - line[c].size(), ' ');
      if (c > 0) text.append(2, ' ');
      text += c < 3 ? line[c] + padding : padding + line[c];
    }
    text += '\n';
  }
  return text;
}

}  // namespace

std::vector<ModelRow> model_table(const Graph& graph, TableDetail detail) {
  return detail == TableDetail::kOps ? rows_of_ops(graph) : join_alike(rows_of_blocks(graph));
}

ModelRow model_total(const Graph& graph) {
  ModelRow total;
  for (const ModelRow& row : rows_of_ops(graph)) accumulate(total, row);
  total.name = "total";
  total.dst = graph.value(logits_of(graph)).shape;
  return total;
}

std::string model_table_text(const Graph& graph, TableDetail detail) {
  const bool ops = detail == TableDetail::kOps;
  std::vector<Line> lines{{ops ? "op" : "block", ops ? "kind" : "", "output", "parameters",
                           "forward MFLOP", "backward MFLOP", "moved MB"}};
  for (const ModelRow& row : model_table(graph, detail)) lines.push_back(line_of(row));
  lines.push_back(line_of(model_total(graph)));
  return aligned(lines);
}

}  // namespace lockstep
