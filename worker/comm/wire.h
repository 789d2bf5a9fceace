#pragma once
// As what values travel in the messages of a sum: as they are, or floats rounded to Bf16. For
// worker/comm only.
#include <mpi.h>

#include <cstddef>
#include <cstring>
#include <span>

#include "layers/cpu/bf16.h"

namespace lockstep {

using cpu::Bf16;

template <typename W>
MPI_Datatype mpi_type();
template <>
inline MPI_Datatype mpi_type<float>() {
  return MPI_FLOAT;
}
template <>
inline MPI_Datatype mpi_type<double>() {
  return MPI_DOUBLE;
}
template <>
inline MPI_Datatype mpi_type<Bf16>() {
  return MPI_UINT16_T;
}

/// dst[i] += src[i]
template <typename T>
inline void add_to(T* __restrict dst, const T* __restrict src, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] += src[i];
}
inline void add_to(float* __restrict dst, const Bf16* __restrict src, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] += cpu::widened(src[i]);
}

/// What is sent of `values`: themselves, or what `staging` then holds.
template <typename T>
inline const T* to_wire(std::span<const T> values, T*) {
  return values.data();
}
inline const Bf16* to_wire(std::span<const float> values, Bf16* staging) {
  cpu::kernels().round_to_bf16(values.size(), values.data(), staging);
  return staging;
}

/// What was received, widened.
inline void from_wire(const Bf16* received, std::span<float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = cpu::widened(received[i]);
}

/// Makes a finished sum what the others will receive, so that it has the same bits everywhere.
template <typename W, typename T>
inline void round_to_wire(std::span<T> values) {
  if constexpr (!std::is_same_v<W, T>)
    for (T& value : values) value = cpu::widened(cpu::rounded<W>(value));
}

}  // namespace lockstep
