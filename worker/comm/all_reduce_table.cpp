#include "worker/comm/all_reduce_table.h"

#include <sstream>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr SumMethod kMethods[] = {SumMethod::kShared, SumMethod::kRing,
                                  SumMethod::kRecursiveDoubling, SumMethod::kHalvingDoubling,
                                  SumMethod::kMpi};
constexpr SumKind kKinds[] = {SumKind::kSums, SumKind::kGradients};
constexpr const char* kHead =
    "# Written by lockstep bench allreduce --table, for parallel.all_reduce_table of job files.\n"
    "# ranks nodes kind up_to_bytes method\n";

template <typename T, std::size_t N>
std::optional<T> named(const T (&all)[N], const std::string& name) {
  for (const T& one : all)
    if (name == to_string(one)) return one;
  return std::nullopt;
}

std::optional<std::size_t> bytes_of(const std::string& word) {
  if (word == "max") return AllReduceTable::kNoEnd;
  if (word.empty() || word.size() > 18 || word.find_first_not_of("0123456789") != word.npos)
    return std::nullopt;
  return std::stoull(word);
}

struct Line {
  RankGrid grid;
  AllReduceTable::Row row;
};

/// What is wrong with a line, or nullptr. A comment or an empty line leaves `line` empty.
const char* parse(const std::string& text, std::optional<Line>& line) {
  std::istringstream words(text.substr(0, text.find('#')));
  RankGrid grid;
  std::string kind, bytes, method, more;
  if (!(words >> std::ws) || words.eof()) return nullptr;
  if (!(words >> grid.ranks >> grid.nodes >> kind >> bytes >> method) || words >> more)
    return "is not RANKS NODES KIND UP_TO_BYTES METHOD";
  const auto found_kind = named(kKinds, kind);
  const auto found_bytes = bytes_of(bytes);
  const auto found_method = named(kMethods, method);
  if (!found_kind) return "has a kind that is neither sums nor gradients";
  if (!found_bytes) return "has UP_TO_BYTES that is neither a number nor max";
  if (!found_method)
    return "has a method that is none of shared, ring, recursive-doubling, halving-doubling, mpi";
  if (*found_kind == SumKind::kGradients && *found_method == SumMethod::kRecursiveDoubling)
    return "sums gradients by recursive doubling, which cannot run beside computation";
  line = Line{grid, {*found_kind, *found_bytes, *found_method}};
  return nullptr;
}

/// Adds a line's row. What is wrong with it, or nullptr.
const char* add(const AllReduceTable::Row& row, AllReduceTable& table) {
  for (const auto& before : table.rows)
    if (before.kind == row.kind && before.up_to_bytes >= row.up_to_bytes)
      return "does not reach further than the line before";
  table.rows.push_back(row);
  return nullptr;
}

std::string write(const RankGrid& grid, const AllReduceTable::Row& row) {
  std::ostringstream line;
  line << grid.ranks << ' ' << grid.nodes << ' ' << to_string(row.kind) << ' ';
  row.up_to_bytes == AllReduceTable::kNoEnd ? line << "max" : line << row.up_to_bytes;
  line << ' ' << to_string(row.method) << '\n';
  return line.str();
}

}  // namespace

const char* to_string(SumMethod method) {
  switch (method) {
    case SumMethod::kShared:
      return "shared";
    case SumMethod::kRing:
      return "ring";
    case SumMethod::kRecursiveDoubling:
      return "recursive-doubling";
    case SumMethod::kHalvingDoubling:
      return "halving-doubling";
    case SumMethod::kMpi:
      return "mpi";
  }
  return "";
}

const char* to_string(SumKind kind) { return kind == SumKind::kSums ? "sums" : "gradients"; }

std::optional<SumMethod> AllReduceTable::find(SumKind kind, std::size_t bytes) const {
  for (const Row& row : rows)
    if (row.kind == kind && bytes <= row.up_to_bytes) return row.method;
  return std::nullopt;
}

AllReduceTable read_table(std::string_view text, const RankGrid& grid, const std::string& file) {
  AllReduceTable table;
  std::istringstream lines{std::string(text)};
  int number = 0;
  for (std::string text_line; std::getline(lines, text_line);) {
    ++number;
    std::optional<Line> line;
    const char* wrong = parse(text_line, line);
    if (!wrong && line && line->grid == grid) wrong = add(line->row, table);
    if (wrong)
      throw ConfigError(file + ":" + std::to_string(number) + ": this line " + wrong +
                        "; let lockstep bench allreduce --table write the file");
  }
  return table;
}

std::string with_table(std::string_view text, const RankGrid& grid, const AllReduceTable& table) {
  std::string result;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    RankGrid of;
    if (!(words >> of.ranks >> of.nodes) || of != grid) result += line + "\n";
  }
  if (result.empty()) result = kHead;
  for (const auto& row : table.rows) result += write(grid, row);
  return result;
}

}  // namespace lockstep
