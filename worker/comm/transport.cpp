#include "worker/comm/transport.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

constexpr std::size_t kHeader = 96;  // of Open MPI, which counts it

/// A number that MPI's tool interface knows by one of these names. What fails is as if there were none.
std::optional<std::uint64_t> variable(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    int index = 0, count = 0;
    MPI_T_cvar_handle handle = nullptr;
    if (MPI_T_cvar_get_index(name, &index) != MPI_SUCCESS) continue;
    if (MPI_T_cvar_handle_alloc(index, nullptr, &handle, &count) != MPI_SUCCESS) continue;
    std::array<std::uint64_t, 2> value{};  // Open MPI: size_t, 8 bytes, or unsigned int
    const bool known = count == 1 && MPI_T_cvar_read(handle, value.data()) == MPI_SUCCESS;
    MPI_T_cvar_handle_free(&handle);
    if (known) return value[0];
  }
  return std::nullopt;
}

std::size_t limit(std::initializer_list<const char*> names, std::size_t otherwise) {
  const std::optional<std::uint64_t> said = variable(names);
  return said && *said > 2 * kHeader ? static_cast<std::size_t>(*said) - kHeader : otherwise;
}

}  // namespace

EagerLimits eager_limits(MPI_Comm comm) {
  EagerLimits limits;
  int provided = 0;
  if (MPI_T_init_thread(MPI_THREAD_SINGLE, &provided) == MPI_SUCCESS) {
    limits.inside_node = limit({"btl_sm_eager_limit", "btl_vader_eager_limit"}, limits.inside_node);
    limits.between_nodes = limit({"btl_tcp_eager_limit"}, limits.between_nodes);
    MPI_T_finalize();
  }
  std::array<std::uint64_t, 2> both{limits.inside_node, limits.between_nodes};
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, both.data(), 2, MPI_UINT64_T, MPI_MIN, comm),
            "MPI_Allreduce", {"eager limits"});
  return {static_cast<std::size_t>(both[0]), static_cast<std::size_t>(both[1])};
}

}  // namespace lockstep
