#include "worker/comm/ring_engine.h"

#include <algorithm>

#include "data/error.h"

namespace lockstep {

template <typename T, typename W>
RingEngine<T, W>::RingEngine(const Channel& channel, std::span<W> scratch,
                             std::size_t segment_values, int window)
    : channel_(&channel), scratch_(scratch), segment_values_(segment_values), window_(window) {
  next_receive_ = next_taken_ = next_send_ = next_sent_ = {steps(), 0};
}

template <typename T, typename W>
void RingEngine<T, W>::start(std::span<T> values, int tag, std::string_view name) {
  values_ = values;
  tag_ = tag;
  name_ = collective_name(name);

  receives_.posted = receives_.retired = sends_.posted = sends_.retired = 0;
  next_receive_ = next_send_ = {};
  settle_receive(next_receive_);
  settle_send(next_send_);
  next_taken_ = next_receive_;
  next_sent_ = next_send_;
  post();
}

template <typename T, typename W>
bool RingEngine<T, W>::progress() {
  for (int taken = 0; taken < window_;) {
    const bool received = take_receive();
    const bool sent = retire_send();
    if (!received && !sent) break;
    taken += received;
    post();
  }
  return done();
}

template <typename T, typename W>
bool RingEngine<T, W>::done() const {
  return next_taken_.step >= steps() && next_sent_.step >= steps();
}

template <typename T, typename W>
void RingEngine<T, W>::abandon() {
  for (Requests* requests : {&receives_, &sends_})
    for (; requests->retired < requests->posted; ++requests->retired)
      give_up(channel_->comm, {&requests->items[requests->retired % kMaxWindow], 1});
  next_receive_ = next_taken_ = next_send_ = next_sent_ = {steps(), 0};
}

template <typename T, typename W>
int RingEngine<T, W>::wrap(int chunk) const {
  const int size = channel_->size;
  return ((chunk % size) + size) % size;
}

template <typename T, typename W>
std::size_t RingEngine<T, W>::chunk_begin(int chunk) const {
  return values_.size() * static_cast<std::size_t>(chunk) /
         static_cast<std::size_t>(channel_->size);
}

template <typename T, typename W>
std::size_t RingEngine<T, W>::segments(int chunk) const {
  const std::size_t length = chunk_begin(chunk + 1) - chunk_begin(chunk);
  return (length + segment_values_ - 1) / segment_values_;
}

template <typename T, typename W>
std::span<T> RingEngine<T, W>::segment_of(int chunk, std::size_t segment) const {
  const std::size_t begin = chunk_begin(chunk) + segment * segment_values_;
  return values_.subspan(begin, std::min(segment_values_, chunk_begin(chunk + 1) - begin));
}

template <typename T, typename W>
void RingEngine<T, W>::settle_send(Place& place) const {
  while (place.step < steps() && place.segment >= segments(sent_chunk(place.step))) {
    place = {place.step + 1, 0};
  }
}

template <typename T, typename W>
void RingEngine<T, W>::settle_receive(Place& place) const {
  while (place.step < steps() && place.segment >= segments(received_chunk(place.step))) {
    place = {place.step + 1, 0};
  }
}

template <typename T, typename W>
W* RingEngine<T, W>::receive_slot(std::uint64_t number) const {
  return scratch_.data() + number % static_cast<std::uint64_t>(window_) * segment_values_;
}

template <typename T, typename W>
W* RingEngine<T, W>::send_slot(std::uint64_t number) const {
  if constexpr (std::is_same_v<T, W>) return nullptr;  // values are sent where they lie
  const auto window = static_cast<std::uint64_t>(window_);
  return scratch_.data() + (window + number % window) * segment_values_;
}

template <typename T, typename W>
void RingEngine<T, W>::post() {
  while (post_receive()) {
  }
  while (post_send()) {
  }
}

template <typename T, typename W>
bool RingEngine<T, W>::post_receive() {
  const Place place = next_receive_;
  if (place.step >= steps()) return false;
  if (receives_.posted - receives_.retired >= static_cast<std::uint64_t>(window_)) return false;
  const std::span<T> kept = segment_of(received_chunk(place.step), place.segment);
  void* into = kept.data();
  if (by_slot(place.step)) {
    into = receive_slot(receives_.posted);
  } else if (next_sent_ <= Place{place.step - (channel_->size - 1), place.segment}) {
    return false;  // MPI may still read from there
  }
  const int from = wrap(channel_->rank - 1);
  check_mpi(MPI_Irecv(into, static_cast<int>(kept.size()), mpi_type<W>(), from, tag_,
                      channel_->comm, &receives_.items[receives_.posted % kMaxWindow]),
            "MPI_Irecv",
            {name_.data(), channel_->group_rank(from),
             static_cast<std::int64_t>(kept.size() * sizeof(W))});
  ++receives_.posted;
  ++next_receive_.segment;
  settle_receive(next_receive_);
  return true;
}

template <typename T, typename W>
bool RingEngine<T, W>::post_send() {
  const Place place = next_send_;
  if (place.step >= steps()) return false;
  if (sends_.posted - sends_.retired >= static_cast<std::uint64_t>(window_)) return false;
  if (place.step > 0 && next_taken_ <= Place{place.step - 1, place.segment}) return false;
  const std::span<const T> from = segment_of(sent_chunk(place.step), place.segment);
  const W* out = to_wire(from, send_slot(sends_.posted));
  const int to = wrap(channel_->rank + 1);
  check_mpi(
      MPI_Isend(out, static_cast<int>(from.size()), mpi_type<W>(), to, tag_, channel_->comm,
                &sends_.items[sends_.posted % kMaxWindow]),
      "MPI_Isend",
      {name_.data(), channel_->group_rank(to), static_cast<std::int64_t>(from.size() * sizeof(W))});
  ++sends_.posted;
  ++next_send_.segment;
  settle_send(next_send_);
  return true;
}

template <typename T, typename W>
bool RingEngine<T, W>::take_receive() {
  if (receives_.retired == receives_.posted) return false;
  const Place place = next_taken_;
  const std::span<T> into = segment_of(received_chunk(place.step), place.segment);
  const CallContext context = {name_.data(), channel_->group_rank(wrap(channel_->rank - 1)),
                               static_cast<std::int64_t>(into.size() * sizeof(W))};
  int arrived = 0;
  MPI_Status status;
  check_mpi(MPI_Test(&receives_.items[receives_.retired % kMaxWindow], &arrived, &status),
            "MPI_Irecv", context);
  if (!arrived) return false;
  int count = 0;
  check_mpi(MPI_Get_count(&status, mpi_type<W>(), &count), "MPI_Get_count", context);
  if (count != static_cast<int>(into.size())) {
    check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (the segment is shorter)", context);
  }
  const W* arrived_values = receive_slot(receives_.retired);
  if (reduces(place.step)) {
    add_to(into.data(), arrived_values, into.size());
    if (!reduces(place.step + 1)) round_to_wire<W>(into);
  } else if constexpr (!std::is_same_v<T, W>) {
    from_wire(arrived_values, into);
  }
  ++receives_.retired;
  ++next_taken_.segment;
  settle_receive(next_taken_);
  return true;
}

template <typename T, typename W>
bool RingEngine<T, W>::retire_send() {
  if (sends_.retired == sends_.posted) return false;
  int done = 0;
  check_mpi(MPI_Test(&sends_.items[sends_.retired % kMaxWindow], &done, MPI_STATUS_IGNORE),
            "MPI_Isend", {name_.data(), channel_->group_rank(wrap(channel_->rank + 1))});
  if (!done) return false;
  ++sends_.retired;
  ++next_sent_.segment;
  settle_send(next_sent_);
  return true;
}

template class RingEngine<float>;
template class RingEngine<double>;
template class RingEngine<float, Bf16>;

}  // namespace lockstep
