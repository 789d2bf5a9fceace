#pragma once
// Maximum and average over windows; global average is in kernels_reduce.h. See kernels_impl.h.
#include "layers/cpu/kernels_windows.h"

namespace lockstep::cpu::LOCKSTEP_ISA {
namespace {

// GCC 12 turns __builtin_convertvector between bytes and ints into many shuffles.
template <int W>
LOCKSTEP_INLINE inline Ints<W> load_index(const std::uint8_t* from) {
  Bytes<W> v;
  __builtin_memcpy(&v, from, sizeof v);
#if defined(__AVX512F__)
  if constexpr (W == 16) return (Ints<W>)_mm512_maskz_cvtepu8_epi32(0xffff, (__m128i)v);
#endif
#if defined(__AVX2__)
  if constexpr (W == 8) return (Ints<W>)_mm256_cvtepu8_epi32(_mm_loadu_si64(from));
#endif
  return __builtin_convertvector(v, Ints<W>);
}

template <int W>
LOCKSTEP_INLINE inline void store_index(std::uint8_t* to, Ints<W> v) {
#if defined(__AVX512F__)
  if constexpr (W == 16) {
    const __m128i bytes = _mm512_maskz_cvtepi32_epi8(0xffff, (__m512i)v);
    __builtin_memcpy(to, &bytes, sizeof bytes);
    return;
  }
#endif
  const Bytes<W> bytes = __builtin_convertvector(v, Bytes<W>);
  __builtin_memcpy(to, &bytes, sizeof bytes);
}

template <class T>
void max_pool(const PoolGeometry& g, int images, const T* x, T* y, std::uint8_t* index) {
  const size_t width = width_of(g);
  const long row_stride = static_cast<long>(g.width) * static_cast<long>(width);
  for_each_window(g, images, [&](Range rows, Range columns, long tap0, size_t at) LOCKSTEP_INLINE {
    for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      const T* base = x + (tap0 + rows.begin * row_stride + static_cast<long>(c));
      const T* first = base + columns.begin * static_cast<long>(width);
      Floats<W> best[N];
      Ints<W> where[N];
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        best[v] = load<W>(first + v * W);
        where[v] = rows.begin * g.kernel + columns.begin - Ints<W>{};
      }
      for (int kh = rows.begin; kh < rows.end; ++kh, base += row_stride) {
        for (int kw = columns.begin; kw < columns.end; ++kw) {
          const T* from = base + kw * static_cast<long>(width);
          const Ints<W> tap = kh * g.kernel + kw - Ints<W>{};
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
            const Floats<W> value = load<W>(from + v * W);
            const Ints<W> better = (value > best[v]) | (value != value);  // NaN wins, and shows
            best[v] = better ? value : best[v];
            where[v] = better ? tap : where[v];
          }
        }
      }
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
        store<W>(y + at + c + v * W, best[v]);
        store_index<W>(index + at + c + v * W, where[v]);
      }
    });
  });
}

/// Gathers: every input pixel asks the windows over it whether they chose it. Written once, in an
/// order of additions that is always the same.
template <class T>
void max_pool_backward(const PoolGeometry& g, int images, const T* dy, const std::uint8_t* index,
                       T* dx) {
  const size_t width = width_of(g);
  for_each_input(
      g, images,
      [&](Range rows, Range columns, int h, int w, size_t at, size_t out) LOCKSTEP_INLINE {
        for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
          Floats<W> sum[N] = {};
          for (int oh = rows.begin; oh < rows.end; ++oh) {
            for (int ow = columns.begin; ow < columns.end; ++ow) {
              const int kh = h + g.padding - oh * g.stride, kw = w + g.padding - ow * g.stride;
              const Ints<W> tap = kh * g.kernel + kw - Ints<W>{};
              const size_t from = out + (static_cast<size_t>(oh) * g.out_width + ow) * width + c;
              LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) {
                const Ints<W> chosen = load_index<W>(index + from + v * W) == tap;
                sum[v] += chosen ? load<W>(dy + from + v * W) : Floats<W>{};
              }
            }
          }
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(dx + at + c + v * W, sum[v]);
        });
      });
}

template <class T>
void average_pool(const PoolGeometry& g, int images, const T* x, T* y) {
  const size_t width = width_of(g);
  const long row_stride = static_cast<long>(g.width) * static_cast<long>(width);
  for_each_window(g, images, [&](Range rows, Range columns, long tap0, size_t at) LOCKSTEP_INLINE {
    const float count = static_cast<float>(rows.size() * columns.size());
    for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
      Floats<W> sum[N] = {};
      for (int kh = rows.begin; kh < rows.end; ++kh) {
        for (int kw = columns.begin; kw < columns.end; ++kw) {
          const T* from =
              x + (tap0 + kh * row_stride + kw * static_cast<long>(width) + static_cast<long>(c));
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) sum[v] += load<W>(from + v * W);
        }
      }
      LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(y + at + c + v * W, sum[v] / count);
    });
  });
}

template <class T>
void average_pool_backward(const PoolGeometry& g, int images, const T* dy, T* dx) {
  const size_t width = width_of(g);
  for_each_input(
      g, images, [&](Range rows, Range columns, int, int, size_t at, size_t out) LOCKSTEP_INLINE {
        for_each_strip(width, [&]<int W, int N>(size_t c) LOCKSTEP_INLINE {
          Floats<W> sum[N] = {};
          for (int oh = rows.begin; oh < rows.end; ++oh) {
            const int window_rows = taps_of(g, oh, g.height).size();
            for (int ow = columns.begin; ow < columns.end; ++ow) {
              const int count = window_rows * taps_of(g, ow, g.width).size();
              const float share = 1.0f / static_cast<float>(count);
              const size_t from = out + (static_cast<size_t>(oh) * g.out_width + ow) * width + c;
              LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) sum[v] +=
                  load<W>(dy + from + v * W) * share;
            }
          }
          LOCKSTEP_UNROLL for (int v = 0; v < N; ++v) store<W>(dx + at + c + v * W, sum[v]);
        });
      });
}

}  // namespace
}  // namespace lockstep::cpu::LOCKSTEP_ISA
