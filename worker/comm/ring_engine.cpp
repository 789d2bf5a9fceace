#include "worker/comm/ring_engine.h"

#include <algorithm>

#include "data/error.h"

namespace lockstep {

template <typename T>
RingEngine<T>::RingEngine(const Channel& channel, std::span<T> scratch, std::size_t segment_values,
                          int window)
    : channel_(&channel), scratch_(scratch), segment_values_(segment_values), window_(window) {
  next_receive_ = next_taken_ = next_send_ = next_sent_ = {steps(), 0};
}

template <typename T>
void RingEngine<T>::start(std::span<T> values, int tag, std::string_view name) {
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

template <typename T>
bool RingEngine<T>::progress() {
  for (int taken = 0; taken < window_;) {
    const bool received = take_receive();
    const bool sent = retire_send();
    if (!received && !sent) break;
    taken += received;
    post();
  }
  return done();
}

template <typename T>
bool RingEngine<T>::done() const {
  return next_taken_.step >= steps() && next_sent_.step >= steps();
}

template <typename T>
void RingEngine<T>::abandon() {
  for (; receives_.retired < receives_.posted; ++receives_.retired) {
    MPI_Request& request = receives_.items[receives_.retired % kMaxWindow];
    MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
  for (; sends_.retired < sends_.posted; ++sends_.retired) {
    MPI_Request_free(&sends_.items[sends_.retired % kMaxWindow]);
  }
  next_receive_ = next_taken_ = next_send_ = next_sent_ = {steps(), 0};
}

template <typename T>
int RingEngine<T>::wrap(int chunk) const {
  const int size = channel_->size;
  return ((chunk % size) + size) % size;
}

template <typename T>
std::size_t RingEngine<T>::chunk_begin(int chunk) const {
  return values_.size() * static_cast<std::size_t>(chunk) /
         static_cast<std::size_t>(channel_->size);
}

template <typename T>
std::size_t RingEngine<T>::segments(int chunk) const {
  const std::size_t length = chunk_begin(chunk + 1) - chunk_begin(chunk);
  return (length + segment_values_ - 1) / segment_values_;
}

template <typename T>
std::span<T> RingEngine<T>::segment_of(int chunk, std::size_t segment) const {
  const std::size_t begin = chunk_begin(chunk) + segment * segment_values_;
  return values_.subspan(begin, std::min(segment_values_, chunk_begin(chunk + 1) - begin));
}

template <typename T>
void RingEngine<T>::settle_send(Place& place) const {
  while (place.step < steps() && place.segment >= segments(sent_chunk(place.step))) {
    place = {place.step + 1, 0};
  }
}

template <typename T>
void RingEngine<T>::settle_receive(Place& place) const {
  while (place.step < steps() && place.segment >= segments(received_chunk(place.step))) {
    place = {place.step + 1, 0};
  }
}

template <typename T>
void RingEngine<T>::post() {
  while (post_receive()) {
  }
  while (post_send()) {
  }
}

template <typename T>
bool RingEngine<T>::post_receive() {
  const Place place = next_receive_;
  if (place.step >= steps()) return false;
  if (receives_.posted - receives_.retired >= static_cast<std::uint64_t>(window_)) return false;
  std::span<T> into = segment_of(received_chunk(place.step), place.segment);
  if (reduces(place.step)) {
    const std::size_t slot = receives_.posted % static_cast<std::uint64_t>(window_);
    into = scratch_.subspan(slot * segment_values_, into.size());
  } else if (next_sent_ <= Place{place.step - (channel_->size - 1), place.segment}) {
    return false;  // MPI may still read from there
  }
  const int from = wrap(channel_->rank - 1);
  check_mpi(
      MPI_Irecv(into.data(), static_cast<int>(into.size()), mpi_type<T>(), from, tag_,
                channel_->comm, &receives_.items[receives_.posted % kMaxWindow]),
      "MPI_Irecv",
      {name_.data(), channel_->group_rank(from), static_cast<std::int64_t>(into.size_bytes())});
  ++receives_.posted;
  ++next_receive_.segment;
  settle_receive(next_receive_);
  return true;
}

template <typename T>
bool RingEngine<T>::post_send() {
  const Place place = next_send_;
  if (place.step >= steps()) return false;
  if (sends_.posted - sends_.retired >= static_cast<std::uint64_t>(window_)) return false;
  if (place.step > 0 && next_taken_ <= Place{place.step - 1, place.segment}) return false;
  const std::span<T> from = segment_of(sent_chunk(place.step), place.segment);
  const int to = wrap(channel_->rank + 1);
  check_mpi(MPI_Isend(from.data(), static_cast<int>(from.size()), mpi_type<T>(), to, tag_,
                      channel_->comm, &sends_.items[sends_.posted % kMaxWindow]),
            "MPI_Isend",
            {name_.data(), channel_->group_rank(to), static_cast<std::int64_t>(from.size_bytes())});
  ++sends_.posted;
  ++next_send_.segment;
  settle_send(next_send_);
  return true;
}

template <typename T>
bool RingEngine<T>::take_receive() {
  if (receives_.retired == receives_.posted) return false;
  const Place place = next_taken_;
  const std::span<T> into = segment_of(received_chunk(place.step), place.segment);
  const CallContext context = {name_.data(), channel_->group_rank(wrap(channel_->rank - 1)),
                               static_cast<std::int64_t>(into.size_bytes())};
  int arrived = 0;
  MPI_Status status;
  check_mpi(MPI_Test(&receives_.items[receives_.retired % kMaxWindow], &arrived, &status),
            "MPI_Irecv", context);
  if (!arrived) return false;
  int count = 0;
  check_mpi(MPI_Get_count(&status, mpi_type<T>(), &count), "MPI_Get_count", context);
  if (count != static_cast<int>(into.size())) {
    check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (the segment is shorter)", context);
  }
  if (reduces(place.step)) {
    const std::size_t slot = receives_.retired % static_cast<std::uint64_t>(window_);
    add_to(into.data(), scratch_.data() + slot * segment_values_, into.size());
  }
  ++receives_.retired;
  ++next_taken_.segment;
  settle_receive(next_taken_);
  return true;
}

template <typename T>
bool RingEngine<T>::retire_send() {
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

}  // namespace lockstep
