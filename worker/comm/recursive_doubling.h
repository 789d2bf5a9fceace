#pragma once
// Recursive doubling, as all_reduce.h tells. For worker/comm only.
#include <mpi.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "worker/comm/communicator_state.h"
#include "worker/comm/paired_ranks.h"
#include "worker/comm/ring_engine.h"

namespace lockstep {

inline constexpr std::size_t kMaxPieces = 32;

/// sums = lower + upper, by the same instructions on both sides: of two NaNs the CPU keeps the
/// first operand, and a compiler that inlines this twice may swap them in one place. `sums` may be
/// either.
template <typename T>
[[gnu::noinline]] void add_in_pair(T* sums, const T* lower, const T* upper, std::size_t size) {
#pragma GCC ivdep
  for (std::size_t i = 0; i < size; ++i) sums[i] = lower[i] + upper[i];
}

/// One all-reduce by recursive doubling: who am I, and what do I exchange with whom. `other` is
/// scratch memory, as large as `values`.
template <typename T>
class RecursiveDoubling {
 public:
  RecursiveDoubling(const Channel& channel, std::span<T> values, std::span<T> other,
                    std::string_view name)
      : channel_(channel), values_(values), other_(other), name_(name), ranks_(channel.size) {}

  void run() {
    const int rank = channel_.rank;
    if (ranks_.gives(rank)) {  // an even rank adds for me
      exchange(rank - 1, values_, {});
      exchange(rank - 1, {}, values_);
      return;
    }
    if (ranks_.takes(rank)) {
      exchange(rank + 1, {}, other_);
      add_upper();
    }
    const int place = ranks_.place(rank);
    for (int bit = 0; bit < ranks_.bits; ++bit) {
      const int partner = place ^ 1 << bit;
      exchange(ranks_.rank_at(partner), values_, other_);
      partner > place ? add_upper() : add_lower();
    }
    if (ranks_.takes(rank)) exchange(rank + 1, values_, {});
  }

 private:
  void add_upper() { add_in_pair(values_.data(), values_.data(), other_.data(), values_.size()); }
  void add_lower() { add_in_pair(values_.data(), other_.data(), values_.data(), values_.size()); }

  // Sends and receives, in pieces that MPI sends without asking first; an empty side is left out.
  void exchange(int peer, std::span<const T> out, std::span<T> in) {
    const CallContext context = {name_, channel_.group_rank(peer),
                                 static_cast<std::int64_t>(values_.size_bytes())};
    const std::size_t count = std::clamp<std::size_t>(
        (values_.size_bytes() + channel_.eager_bytes(peer) - 1) / channel_.eager_bytes(peer), 1,
        kMaxPieces);
    piece_values_ = (values_.size() + count - 1) / count;
    std::array<MPI_Request, kMaxPieces> receives, sends;
    receives.fill(MPI_REQUEST_NULL);
    sends.fill(MPI_REQUEST_NULL);
    try {
      exchange(peer, out, in, receives, sends, context);
    } catch (...) {
      give_up(channel_.comm, receives);
      give_up(channel_.comm, sends);
      throw;
    }
  }

  void exchange(int peer, std::span<const T> out, std::span<T> in, std::span<MPI_Request> receives,
                std::span<MPI_Request> sends, const CallContext& context) {
    for (std::size_t i = 0; i < pieces(in.size()); ++i) {
      const std::span<T> piece = piece_of(in, i);
      check_mpi(MPI_Irecv(piece.data(), static_cast<int>(piece.size()), mpi_type<T>(), peer,
                          kBlockingTag, channel_.comm, &receives[i]),
                "MPI_Irecv", context);
    }
    for (std::size_t i = 0; i < pieces(out.size()); ++i) {
      const std::span<const T> piece = piece_of(out, i);
      check_mpi(MPI_Isend(piece.data(), static_cast<int>(piece.size()), mpi_type<T>(), peer,
                          kBlockingTag, channel_.comm, &sends[i]),
                "MPI_Isend", context);
    }
    for (std::size_t i = 0; i < pieces(in.size()); ++i) {
      receive(receives[i], piece_of(in, i), context);
    }
    for (std::size_t i = 0; i < pieces(out.size()); ++i) {
      wait_for(channel_.crowded, sends[i], "MPI_Isend", context);
    }
  }

  void receive(MPI_Request& request, std::span<T> piece, const CallContext& context) {
    MPI_Status status;
    wait_for(channel_.crowded, request, "MPI_Irecv", context, &status);
    int count = 0;
    check_mpi(MPI_Get_count(&status, mpi_type<T>(), &count), "MPI_Get_count", context);
    if (count != static_cast<int>(piece.size())) {
      check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (the message is shorter)", context);
    }
  }

  std::size_t pieces(std::size_t size) const {
    return size <= piece_values_ ? (size > 0) : (size + piece_values_ - 1) / piece_values_;
  }
  template <typename U>
  std::span<U> piece_of(std::span<U> all, std::size_t i) const {
    const std::size_t begin = i * piece_values_;
    return all.subspan(begin, std::min(piece_values_, all.size() - begin));
  }

  const Channel& channel_;
  std::span<T> values_;
  std::span<T> other_;
  std::string_view name_;
  std::size_t piece_values_ = 1;  // of the exchange under way
  PairedRanks ranks_;
};

}  // namespace lockstep
