#pragma once
// Values to sum, and what MPI makes of them.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

template <typename T>
MPI_Datatype type_of() {
  return sizeof(T) == 4 ? MPI_FLOAT : MPI_DOUBLE;
}

inline std::span<float> floats_of(const SharedMemory& memory) {
  return {reinterpret_cast<float*>(memory.data()), memory.bytes() / sizeof(float)};
}

template <typename T>
std::vector<T> sum_by_mpi(std::vector<T> values) {
  MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), type_of<T>(), MPI_SUM,
                MPI_COMM_WORLD);
  return values;
}

template <typename T>
std::vector<T> integers(std::size_t size, int rank) {
  std::vector<T> values(size);
  for (std::size_t i = 0; i < size; ++i) {
    values[i] = static_cast<T>(
        static_cast<int>((i * 7 + 13 * static_cast<std::size_t>(rank)) % 2001) - 1000);
  }
  return values;
}

template <typename T>
std::vector<T> fractions(std::size_t size, int rank) {
  std::mt19937 random(static_cast<unsigned>(17 * rank + 1));
  std::uniform_real_distribution<T> uniform(T(0.5), T(1.5));  // of one sign: no cancellation
  std::vector<T> values(size);
  for (T& value : values) value = uniform(random);
  return values;
}

// Whether all ranks hold the same bits.
template <typename T>
bool same_on_all(const Communicator& world, const std::vector<T>& values) {
  std::uint64_t hash = 1469598103934665603u;
  for (const std::byte b : std::as_bytes(std::span<const T>(values))) {
    hash = (hash ^ static_cast<std::uint64_t>(b)) * 1099511628211u;
  }
  const auto all = world.all_gather_value(hash, "hash");
  for (const std::uint64_t other : all) {
    if (other != all.front()) return false;
  }
  return true;
}

}  // namespace lockstep
