#include "worker/comm/transfer.h"

#include <mpi.h>

#include <algorithm>
#include <exception>
#include <vector>

#include "data/error.h"
#include "worker/comm/communicator_state.h"

namespace lockstep {

namespace {
// MPI counts in int; larger messages go in pieces of this size.
constexpr std::size_t kPieceBytes = std::size_t{1} << 30;
}  // namespace

struct Transfer::State {
  explicit State(Communicator::State& of) : group(of) {}

  /// Starts all pieces by start(offset, bytes, request).
  template <class Start>
  void start(CollectiveKind how, std::size_t size, int peer, std::string_view name, Start start) {
    if (!requests.empty())
      throw InternalError("transfer \"" + std::string(name) + "\" is still under way");
    kind = how;
    context = {name, peer, static_cast<std::int64_t>(size)};
    missing = context.bytes;
    std::size_t offset = 0;
    do {
      const std::size_t length = std::min(kPieceBytes, size - offset);
      requests.push_back(MPI_REQUEST_NULL);
      start(offset, static_cast<int>(length), &requests.back());
      offset += length;
    } while (offset < size);
  }

  const char* call() const { return kind == CollectiveKind::kSend ? "MPI_Isend" : "MPI_Irecv"; }

  bool progress() {
    while (!requests.empty()) {
      int done = 0, bytes = 0;
      MPI_Status status;
      check_mpi(MPI_Test(&requests.back(), &done, &status), call(), context);
      if (!done) return false;
      requests.pop_back();
      if (kind == CollectiveKind::kSend) continue;
      check_mpi(MPI_Get_count(&status, MPI_BYTE, &bytes), "MPI_Get_count", context);
      missing -= bytes;
      if (requests.empty() && missing != 0)
        check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (message is shorter)", context);
    }
    return true;
  }

  Communicator::State& group;
  CollectiveKind kind = CollectiveKind::kSend;
  CallContext context;
  std::int64_t missing = 0;           // bytes not yet received
  std::vector<MPI_Request> requests;  // of what has not ended
};

Transfer::Transfer(const Communicator& group) : state_(std::make_unique<State>(group.state())) {}
Transfer::Transfer(Transfer&&) noexcept = default;
Transfer& Transfer::operator=(Transfer&&) noexcept = default;

Transfer::~Transfer() {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!state_ || finalized) return;
  give_up(state_->group.comm, state_->requests);
}

void Transfer::start_send(std::span<const std::byte> bytes, int to, int tag,
                          std::string_view name) {
  State& s = *state_;
  s.start(CollectiveKind::kSend, bytes.size(), to, name,
          [&](std::size_t offset, int length, MPI_Request* request) {
            check_mpi(
                MPI_Isend(bytes.data() + offset, length, MPI_BYTE, to, tag, s.group.comm, request),
                "MPI_Isend", s.context);
          });
}

void Transfer::start_receive(std::span<std::byte> bytes, int from, int tag, std::string_view name) {
  State& s = *state_;
  s.start(CollectiveKind::kRecv, bytes.size(), from, name,
          [&](std::size_t offset, int length, MPI_Request* request) {
            check_mpi(MPI_Irecv(bytes.data() + offset, length, MPI_BYTE, from, tag, s.group.comm,
                                request),
                      "MPI_Irecv", s.context);
          });
}

bool Transfer::progress() { return state_->progress(); }

void Transfer::finish() {
  State& s = *state_;
  if (s.requests.empty()) return;
  const auto bytes = static_cast<std::size_t>(s.context.bytes);
  const auto scope = s.group.record(s.kind, bytes, s.context.name, s.context.peer);
  Backoff backoff(s.group.crowded);
  while (!s.progress()) backoff.pause();
}

}  // namespace lockstep
