#include <algorithm>

#include "worker/comm/all_reduce_bench.h"

namespace lockstep {
namespace {

std::vector<SumMethod> methods(const Communicator& group, SumKind kind) {
  std::vector<SumMethod> all;
  const bool two_level = kind == SumKind::kGradients && group.nodes() < group.size();
  if (group.nodes() == 1 || two_level) all.push_back(SumMethod::kShared);
  if (kind == SumKind::kSums) all.push_back(SumMethod::kRecursiveDoubling);
  all.push_back(SumMethod::kHalvingDoubling);
  all.push_back(SumMethod::kRing);
  return all;
}

MethodSpeeds time_size(const Communicator& group, SumKind kind, std::size_t bytes,
                       const SharedMemory& memory, AllReduceBenchOptions options) {
  MethodSpeeds speeds{kind, bytes, {}};
  options.ours.algorithm = AllReduceAlgorithm::kAuto;
  for (const SumMethod method : methods(group, kind)) {
    options.ours.table.rows = {{kind, AllReduceTable::kNoEnd, method}};
    const AllReduceSeconds seconds = kind == SumKind::kSums
                                         ? time_all_reduce<double>(group, bytes, memory, options)
                                         : time_all_reduce<float>(group, bytes, memory, options);
    speeds.mpi_over.emplace_back(method, seconds.ratio);
  }
  return speeds;
}

}  // namespace

SumMethod MethodSpeeds::best() const {
  const auto fastest =
      std::ranges::max_element(mpi_over, {}, [](const auto& m) { return m.second; });
  return fastest == mpi_over.end() || fastest->second < 1 ? SumMethod::kMpi : fastest->first;
}

std::vector<MethodSpeeds> time_methods(const Communicator& group, std::size_t from, std::size_t to,
                                       const SharedMemory& memory,
                                       const AllReduceBenchOptions& options,
                                       const std::function<void(const MethodSpeeds&)>& tell) {
  std::vector<MethodSpeeds> all;
  const auto series = [&](SumKind kind, std::size_t first, std::size_t last) {
    for (std::size_t bytes = first; bytes <= last; bytes *= 4) {
      if (bytes < from || bytes > to) continue;
      all.push_back(time_size(group, kind, bytes, memory, options));
      tell(all.back());
    }
  };
  series(SumKind::kSums, 128, 32 << 10);
  series(SumKind::kGradients, 64 << 10, 64 << 20);
  return all;
}

AllReduceTable table_of(std::span<const MethodSpeeds> speeds) {
  AllReduceTable table;
  for (const MethodSpeeds& size : speeds) {
    const bool goes_on = !table.rows.empty() && table.rows.back().kind == size.kind;
    if (goes_on && table.rows.back().method == size.best()) {
      table.rows.back().up_to_bytes = size.bytes;
    } else {
      table.rows.push_back({size.kind, size.bytes, size.best()});
    }
  }
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const bool last = i + 1 == table.rows.size() || table.rows[i + 1].kind != table.rows[i].kind;
    if (last) table.rows[i].up_to_bytes = AllReduceTable::kNoEnd;
  }
  return table;
}

}  // namespace lockstep
