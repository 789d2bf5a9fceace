#pragma once
// Two f32 sums per channel over a piece: the core of all statistics. See kernels_impl.h.
#include "layers/cpu/kernels_piece.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

/// f32 sums of a piece, per channel, about centre[channel] where that is of use.
struct PieceSums {
  float centre[kMaxPieceWidth];
  float first[kMaxPieceWidth];
  float second[kMaxPieceWidth];
};

/// The piece is one strip wide: sums in registers, as many rows of them as hide an addition's
/// latency.
template <class Term>
LOCKSTEP_INLINE inline void sums_in_registers(const Piece& piece, PieceSums& sums,
                                              const Term& term) {
  for_each_strip(piece.width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
    constexpr int U = kRows<N>;
    Floats<W> centre[N], first[U][N] = {}, second[U][N] = {};
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) centre[v] = load<W>(sums.centre + c + v * W);
    for_each_row<U>(piece, c, [&](int u, size_t at) LOCKSTEP_INLINE {
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        term.template operator()<W>(at + v * W, centre[v], first[u][v], second[u][v]);
      }
    });
    LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
      LOCKSTEP_UNROLL for (int u = 1; u < U; ++u) {
        first[0][v] += first[u][v];
        second[0][v] += second[u][v];
      }
      store<W>(sums.first + c + v * W, first[0][v]);
      store<W>(sums.second + c + v * W, second[0][v]);
    }
  });
}

/// The piece is wide: pixel after pixel, so that memory is read in order; the sums stay in the
/// cache. (Several pixels at a time would save loads, but reads of rows side by side defeat the
/// prefetcher: a third of the speed where the tensor comes from memory.)
template <class Term>
LOCKSTEP_INLINE inline void sums_in_cache(const Piece& piece, PieceSums& sums, const Term& term) {
  for (size_t c = 0; c < piece.width; ++c) sums.first[c] = sums.second[c] = 0;
  for_each_row<1>(piece, 0, [&](int, size_t row) LOCKSTEP_INLINE {
    for_each_strip(piece.width, [&]<int W, int N>(size_t strip) LOCKSTEP_INLINE {
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        const size_t c = strip + v * W;
        Floats<W> first = load<W>(sums.first + c), second = load<W>(sums.second + c);
        term.template operator()<W>(row + c, load<W>(sums.centre + c), first, second);
        store<W>(sums.first + c, first);
        store<W>(sums.second + c, second);
      }
    });
  });
}

/// sums.first and .second = what term.operator()<W>(at, centre, first, second) adds to them for
/// every vector of the piece.
template <class Term>
LOCKSTEP_INLINE inline void sum_piece(const Piece& piece, PieceSums& sums, const Term& term) {
  if (fits_registers(piece)) {
    sums_in_registers(piece, sums, term);
  } else {
    sums_in_cache(piece, sums, term);
  }
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
