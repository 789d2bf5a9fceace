#include "worker/comm/halving_doubling.h"

#include <bit>
#include <climits>
#include <type_traits>

#include "data/error.h"

namespace lockstep {

namespace {

/// Of values, in one message.
std::size_t largest_message(std::size_t values, int ranks) {
  return std::has_single_bit(static_cast<unsigned>(ranks)) ? (values + 1) / 2 : values;
}

}  // namespace

template <typename T, typename W>
std::size_t HalvingDoubling<T, W>::scratch_values(std::size_t values, int ranks) {
  return largest_message(values, ranks) * (std::is_same_v<T, W> ? 1 : 2);
}

template <typename T, typename W>
HalvingDoubling<T, W>::HalvingDoubling(const Channel& channel, std::span<W> scratch)
    : channel_(&channel),
      scratch_(scratch),
      ranks_(channel.size),
      place_(ranks_.place(channel.rank)) {
  number_ = steps();
}

template <typename T, typename W>
void HalvingDoubling<T, W>::start(std::span<T> values, int tag, std::string_view name) {
  if (values.size() > INT_MAX)
    throw InternalError(
        "halving and doubling sum at most 2^31 - 1 values at once: use smaller buckets");
  values_ = values;
  tag_ = tag;
  name_ = collective_name(name);
  number_ = 0;
  post();
}

template <typename T, typename W>
auto HalvingDoubling<T, W>::half_of(Range whole, bool upper) const -> Range {
  const std::size_t middle = whole.begin + whole.size() / 2;
  return upper ? Range{middle, whole.end} : Range{whole.begin, middle};
}

/// What this rank still works on after so many halvings.
template <typename T, typename W>
auto HalvingDoubling<T, W>::range_at(int level) const -> Range {
  Range range{0, values_.size()};
  for (int bit = 0; bit < level; ++bit) range = half_of(range, place_ >> bit & 1);
  return range;
}

/// Ranks beyond the power of 2: odd gives its values to even at first, and gets the sums at last.
template <typename T, typename W>
auto HalvingDoubling<T, W>::step_of_pair(int number) const -> Step {
  const Range all{0, values_.size()};
  const bool first = number == 0;
  const bool sends = first == ranks_.gives(channel_->rank);
  return {.peer = channel_->rank ^ 1,
          .out = sends ? all : Range{},
          .in = sends ? Range{} : all,
          .adds = first};
}

template <typename T, typename W>
auto HalvingDoubling<T, W>::step(int number) const -> Step {
  const bool takes = ranks_.takes(channel_->rank);
  if (ranks_.gives(channel_->rank) || (takes && (number == 0 || number == steps() - 1)))
    return step_of_pair(number);
  const int own = number - (takes ? 1 : 0);
  const bool halves = own < ranks_.bits;
  const int bit = halves ? own : 2 * ranks_.bits - 1 - own;
  const bool upper = place_ >> bit & 1;
  const Range whole = range_at(bit), mine = half_of(whole, upper), other = half_of(whole, !upper);
  return {.peer = ranks_.rank_at(place_ ^ 1 << bit),
          .out = halves ? other : mine,
          .in = halves ? mine : other,
          .adds = halves,
          .finishes = own == ranks_.bits - 1};
}

template <typename T, typename W>
bool HalvingDoubling<T, W>::receives_in_place(const Step& step) const {
  return std::is_same_v<T, W> && !step.adds;
}

template <typename T, typename W>
void HalvingDoubling<T, W>::post() {
  now_ = step(number_);
  const int peer = now_.peer;
  const auto context = [&](Range range) {
    return CallContext{name_.data(), channel_->group_rank(peer),
                       static_cast<std::int64_t>(range.size() * sizeof(W))};
  };
  if (now_.in.size() > 0) {
    void* into = scratch_.data();
    if (receives_in_place(now_)) into = values_.data() + now_.in.begin;
    check_mpi(MPI_Irecv(into, static_cast<int>(now_.in.size()), mpi_type<W>(), peer, tag_,
                        channel_->comm, &receive_),
              "MPI_Irecv", context(now_.in));
  }
  if (now_.out.size() > 0) {
    const std::span<const T> given = values_.subspan(now_.out.begin, now_.out.size());
    const W* out =
        to_wire(given, scratch_.data() + largest_message(values_.size(), channel_->size));
    check_mpi(MPI_Isend(out, static_cast<int>(given.size()), mpi_type<W>(), peer, tag_,
                        channel_->comm, &send_),
              "MPI_Isend", context(now_.out));
  }
}

template <typename T, typename W>
bool HalvingDoubling<T, W>::progress() {
  if (number_ == steps()) return true;
  const CallContext context{name_.data(), channel_->group_rank(now_.peer),
                            static_cast<std::int64_t>(now_.in.size() * sizeof(W))};
  int received = 0, sent = 0, count = 0;
  MPI_Status status;
  const bool expects = receive_ != MPI_REQUEST_NULL;
  check_mpi(MPI_Test(&receive_, &received, &status), "MPI_Irecv", context);
  if (expects && received) {
    check_mpi(MPI_Get_count(&status, mpi_type<W>(), &count), "MPI_Get_count", context);
    if (count != static_cast<int>(now_.in.size()))
      check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (the message is shorter)", context);
  }
  check_mpi(MPI_Test(&send_, &sent, MPI_STATUS_IGNORE), "MPI_Isend", context);
  if (!received || !sent) return false;
  take();
  if (++number_ < steps()) post();
  return number_ == steps();
}

template <typename T, typename W>
void HalvingDoubling<T, W>::take() {
  const std::span<T> in = values_.subspan(now_.in.begin, now_.in.size());
  if (now_.adds) {
    add_to(in.data(), scratch_.data(), in.size());
  } else if constexpr (!std::is_same_v<T, W>) {
    from_wire(scratch_.data(), in);
  }
  if (now_.finishes) round_to_wire<W>(in);
}

template <typename T, typename W>
void HalvingDoubling<T, W>::abandon() {
  give_up(channel_->comm, {&receive_, 1});
  give_up(channel_->comm, {&send_, 1});
  number_ = steps();
}

template class HalvingDoubling<float>;
template class HalvingDoubling<double>;
template class HalvingDoubling<float, Bf16>;

}  // namespace lockstep
