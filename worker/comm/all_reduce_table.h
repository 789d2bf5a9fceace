#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// How one sum is made; all_reduce.h tells how each goes.
enum class SumMethod { kShared, kRing, kRecursiveDoubling, kHalvingDoubling, kMpi };
/// shared, ring, recursive-doubling, halving-doubling, mpi
const char* to_string(SumMethod method);

/// What is summed.
enum class SumKind {
  kSums,       // by all_reduce_sum: batch norm's
  kGradients,  // by AsyncAllReduce, beside computation; has no recursive doubling
};
const char* to_string(SumKind kind);  // sums, gradients

/// Which method is the fastest up to which size, as measured by `lockstep bench allreduce --table`.
struct AllReduceTable {
  static constexpr std::size_t kNoEnd = SIZE_MAX;
  struct Row {
    SumKind kind;
    std::size_t up_to_bytes;  // kNoEnd: all that is larger than the row before
    SumMethod method;
    bool operator==(const Row&) const = default;
  };
  std::vector<Row> rows;  // of a kind, in ascending order

  /// By the first row that reaches so far; nothing if there is none.
  std::optional<SumMethod> find(SumKind kind, std::size_t bytes) const;
};

/// What a table was measured on.
struct RankGrid {
  int ranks = 1, nodes = 1;
  bool operator==(const RankGrid&) const = default;
};

/// The rows of a file's text for a grid; none, if the file has none for it. A line is
///   RANKS NODES sums|gradients UP_TO_BYTES|max METHOD
/// and '#' begins a comment. @throws ConfigError naming `file` and the line.
AllReduceTable read_table(std::string_view text, const RankGrid& grid, const std::string& file);

/// The text with these rows for a grid, instead of those that it has; other grids' are kept.
std::string with_table(std::string_view text, const RankGrid& grid, const AllReduceTable& table);

}  // namespace lockstep
