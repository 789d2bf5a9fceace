// How survivors of a dead rank come together again, by ULFM.  https://fault-tolerance.org; Bland et al. 2013,
// "Post-failure recovery of MPI communication capability".
#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

#include "data/error.h"
#include "worker/comm/communicator.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/node_slots.h"
#include "worker/comm/staged_sum.h"

namespace lockstep {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kSettle{1000};
constexpr milliseconds kAsleep{5};

bool is_revoked([[maybe_unused]] MPI_Comm comm) {
  int revoked = 0;
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  if (MPIX_Comm_is_revoked(comm, &revoked) != MPI_SUCCESS) return false;
#endif
  return revoked != 0;
}

bool has_failed([[maybe_unused]] MPI_Comm comm) {
  int count = 0;
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  MPI_Group failed = MPI_GROUP_NULL;
  if (MPIX_Comm_get_failed(comm, &failed) != MPI_SUCCESS) return false;
  MPI_Group_size(failed, &count);
  MPI_Group_free(&failed);
#endif
  return count > 0;
}

[[maybe_unused]] [[noreturn]] void not_without_ulfm() {
  throw InternalError("a group's survivors: this MPI has no ULFM");
}

}  // namespace

MPI_Comm Family::adopt(MPI_Comm comm) {
  if (comm != MPI_COMM_NULL) comms_.push_back(comm);
  return comm;
}

void Family::release(MPI_Comm& comm) {
  int finalized = 0;
  MPI_Finalized(&finalized);
  // MPI_Comm_free is collective: ranks that end by an exception must not wait in it for others.
  if (comm == MPI_COMM_NULL || finalized || revoked_ || std::uncaught_exceptions() > 0) return;
  std::erase(comms_, comm);
  MPI_Comm_free(&comm);
}

void Family::revoke() {
  if (revoked_) return;
  revoked_ = true;
  ranks_were_lost() = true;
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  for (const MPI_Comm comm : comms_) MPIX_Comm_revoke(comm);
#endif
}

bool Family::disturbed() const {
  return std::ranges::any_of(comms_,
                             [](MPI_Comm comm) { return is_revoked(comm) || has_failed(comm); });
}

bool& ranks_were_lost() {
  static bool lost = false;
  return lost;
}

void give_up(MPI_Comm comm, std::span<MPI_Request> requests) {
  const auto end = steady_clock::now() + (is_revoked(comm) ? kSettle : milliseconds{0});
  for (MPI_Request& request : requests) {
    int done = request == MPI_REQUEST_NULL;
    while (!done && steady_clock::now() < end) {  // an error ends a request too
      if (MPI_Test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) done = true;
      if (!done) std::this_thread::yield();
    }
    if (done || request == MPI_REQUEST_NULL) continue;
    MPI_Cancel(&request);
    MPI_Request_free(&request);
  }
}

void Communicator::revoke() const { state_->family->revoke(); }

bool Communicator::agree([[maybe_unused]] bool mine) const {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  int all = mine;
  // It reports ranks that died, and gives the living ones' answer all the same.
  const int code = MPIX_Comm_agree(state_->comm, &all);
  try {
    check_mpi(code, "MPIX_Comm_agree");
  } catch (const RankLostError&) {
    ranks_were_lost() = true;
  }
  return all != 0;
#else
  not_without_ulfm();
#endif
}

bool Communicator::has_lost() const { return state_->family->disturbed(); }

/// A rank that dies while the new world is made disturbs some of the others, and not the rest: so they agree
/// on whether it is good, and begin again from what has become of it.
Communicator Communicator::survivors() const {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  MPI_Comm before = state_->comm;
  for (;;) {
    MPI_Comm living = MPI_COMM_NULL;
    check_mpi(MPIX_Comm_shrink(before, &living), "MPIX_Comm_shrink");
    check_mpi(MPI_Comm_set_errhandler(living, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    const auto family = std::make_shared<Family>(std::make_shared<CollectiveLog>());
    std::unique_ptr<State> made;
    try {
      made = std::make_unique<State>(living, state_->options, family);
    } catch (const CommError& error) {
      if (!dynamic_cast<const RankLostError*>(&error) && !family->disturbed()) throw;
      family->revoke();
    }
    int good = made != nullptr;
    MPIX_Comm_agree(living, &good);
    if (good) return Communicator(std::move(made));
    family->revoke();
    before = living;
  }
#else
  not_without_ulfm();
#endif
}

void Communicator::broadcast_asleep(std::span<std::byte> bytes, int root,
                                    std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kBroadcast, bytes.size(), name);
  const CallContext context{name, root, static_cast<std::int64_t>(bytes.size())};
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibcast(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, root, state_->comm,
                       &request),
            "MPI_Ibcast", context);
  for (int done = 0; !done;) {
    check_mpi(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Ibcast", context);
    if (!done) std::this_thread::sleep_for(kAsleep);
  }
}

}  // namespace lockstep
