#include "worker/comm/communicator.h"

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif
#include <sched.h>

#include <algorithm>
#include <climits>
#include <cmath>

#include "data/error.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/node_slots.h"
#include "worker/comm/staged_sum.h"

namespace lockstep {
namespace {

// MPI counts in int; larger messages go in pieces of this size.
constexpr std::size_t kPieceBytes = std::size_t{1} << 30;

CallContext context_of(std::string_view name, int peer, std::size_t bytes) {
  return {name, peer, static_cast<std::int64_t>(bytes)};
}

MPI_Comm duplicate(MPI_Comm comm) {
  MPI_Comm copy = MPI_COMM_NULL;
  check_mpi(MPI_Comm_dup(comm, &copy), "MPI_Comm_dup");
  return copy;
}

// Calls piece(offset, bytes) for consecutive pieces; once, with 0 bytes, for an empty message.
template <typename Function>
void for_each_piece(std::size_t bytes, Function&& piece) {
  std::size_t offset = 0;
  do {
    const std::size_t length = std::min(kPieceBytes, bytes - offset);
    piece(offset, static_cast<int>(length));
    offset += length;
  } while (offset < bytes);
}

// CPUs that the ranks of this node may use, together.
int cpus_of_node(MPI_Comm node) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  if (sched_getaffinity(0, sizeof cpus, &cpus) != 0) return INT_MAX;  // more than 1024: not crowded
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &cpus, sizeof cpus, MPI_BYTE, MPI_BOR, node),
            "MPI_Allreduce", {"CPUs of the node"});
  return CPU_COUNT(&cpus);
}

// Of the ranks of a node, those that are to think themselves alone on it.
MPI_Comm part_of_node(MPI_Comm node, int ranks_per_node) {
  int rank = 0;
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank), "MPI_Comm_rank");
  MPI_Comm part = MPI_COMM_NULL;
  check_mpi(MPI_Comm_split(node, rank / ranks_per_node, 0, &part), "MPI_Comm_split");
  return part;
}

/// By rank in `comm`, whether the rank is one of `node`.
std::vector<char> ranks_on_node(MPI_Comm comm, int size, MPI_Comm node, int node_size) {
  std::vector<int> members(static_cast<std::size_t>(node_size)), ranks(members.size());
  for (int member = 0; member < node_size; ++member)
    members[static_cast<std::size_t>(member)] = member;
  MPI_Group all = MPI_GROUP_NULL, near = MPI_GROUP_NULL;
  check_mpi(MPI_Comm_group(comm, &all), "MPI_Comm_group");
  check_mpi(MPI_Comm_group(node, &near), "MPI_Comm_group");
  check_mpi(MPI_Group_translate_ranks(near, node_size, members.data(), all, ranks.data()),
            "MPI_Group_translate_ranks");
  MPI_Group_free(&near);
  MPI_Group_free(&all);
  std::vector<char> on_node(static_cast<std::size_t>(size));
  for (const int rank : ranks) on_node[static_cast<std::size_t>(rank)] = 1;
  return on_node;
}

/// The first ranks of the nodes, where there are several with several ranks. Collective.
Channel first_ranks_of(const Communicator::State& group) {
  if (group.nodes == 1 || group.nodes == group.size) return {};
  Channel first{.crowded = group.crowded, .eager = group.reductions.eager};
  check_mpi(MPI_Comm_split(group.comm, group.node_rank == 0 ? 0 : MPI_UNDEFINED, 0, &first.comm),
            "MPI_Comm_split", {"first ranks of nodes"});
  if (group.family->adopt(first.comm) == MPI_COMM_NULL) return first;
  check_mpi(MPI_Comm_set_errhandler(first.comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(first.comm, &first.rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(first.comm, &first.size), "MPI_Comm_size");
  first.ranks.resize(static_cast<std::size_t>(first.size));
  check_mpi(MPI_Allgather(&group.rank, 1, MPI_INT, first.ranks.data(), 1, MPI_INT, first.comm),
            "MPI_Allgather", {"first ranks of nodes"});
  return first;
}

// The first rank of `comm` that is known to be dead, or -1.
int lost_rank([[maybe_unused]] MPI_Comm comm) {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  MPI_Group failed = MPI_GROUP_NULL, all = MPI_GROUP_NULL;
  int count = 0, rank = -1;
  if (MPIX_Comm_get_failed(comm, &failed) != MPI_SUCCESS) return -1;
  MPI_Group_size(failed, &count);
  if (count > 0 && MPI_Comm_group(comm, &all) == MPI_SUCCESS) {
    constexpr int kFirst = 0;
    MPI_Group_translate_ranks(failed, 1, &kFirst, all, &rank);
    MPI_Group_free(&all);
  }
  MPI_Group_free(&failed);
  return rank;
#else
  return -1;
#endif
}

template <typename T>
T combine(T a, T b, ReduceOp op) {
  switch (op) {
    case ReduceOp::kMin:
      return b < a ? b : a;
    case ReduceOp::kMax:
      return a < b ? b : a;
    case ReduceOp::kSum:
      return a + b;
  }
  throw InternalError("all_reduce: unknown operation");
}

template <typename T>
T combine_in_order(const std::vector<T>& values, ReduceOp op) {
  T result = values.front();
  for (std::size_t i = 1; i < values.size(); ++i) result = combine(result, values[i], op);
  return result;
}

}  // namespace

void Backoff::pause() {
  if (spins_ > 0) {
    --spins_;
  } else {
    sched_yield();
  }
}

void PeerWait::pause() {
  if (spins_ > 0) {
    --spins_;
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    return;
  }
  sched_yield();
  if (++yields_ % 1024 != 0) return;
  int found = 0;  // whatever it is, it is for somebody else
  const int code =
      MPI_Iprobe(MPI_ANY_SOURCE, kBlockingTag, channel_.comm, &found, MPI_STATUS_IGNORE);
  if (code == MPI_SUCCESS) return;
  const int lost = lost_rank(channel_.comm);
  if (lost >= 0) context_.peer = channel_.group_rank(lost);
  check_mpi(code, "a wait in shared memory", context_);
}

void wait_for(bool crowded, MPI_Request& request, const char* call, const CallContext& context,
              MPI_Status* status) {
  Backoff backoff(crowded);
  for (;;) {
    int done = 0;
    check_mpi(MPI_Test(&request, &done, status), call, context);
    if (done) return;
    backoff.pause();
  }
}

bool true_on_all(MPI_Comm comm, bool mine, std::string_view name) {
  int all = mine;
  check_mpi(MPI_Allreduce(MPI_IN_PLACE, &all, 1, MPI_INT, MPI_MIN, comm), "MPI_Allreduce", {name});
  return all != 0;
}

Communicator::State::State(MPI_Comm taken, const GroupOptions& how, std::shared_ptr<Family> its)
    : State(taken, "world", how, std::move(its), nullptr) {}

Communicator::State::State(MPI_Comm taken, std::string_view group_name, const State& parent)
    : State(taken, group_name, parent.options, parent.family, &parent) {}

Communicator::State::State(MPI_Comm taken, std::string_view group_name, const GroupOptions& how,
                           std::shared_ptr<Family> its, const State* parent)
    : comm(its->adopt(taken)),
      options(how),
      name(group_name),
      family(std::move(its)),
      log(family->log) {
  check_mpi(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(comm, &rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(comm, &size), "MPI_Comm_size");
  check_mpi(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  family->adopt(node);
  check_mpi(MPI_Comm_size(node, &node_size), "MPI_Comm_size");
  crowded = parent ? parent->crowded : node_size > cpus_of_node(node);
  if (options.ranks_per_node > 0) {
    const MPI_Comm part = family->adopt(part_of_node(node, options.ranks_per_node));
    family->release(node);
    node = part;
  }
  check_mpi(MPI_Comm_rank(node, &node_rank), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(node, &node_size), "MPI_Comm_size");
  const int leads = node_rank == 0;
  check_mpi(MPI_Allreduce(&leads, &nodes, 1, MPI_INT, MPI_SUM, comm), "MPI_Allreduce", {"nodes"});
  reductions = {.comm = family->adopt(duplicate(comm)),
                .rank = rank,
                .size = size,
                .crowded = crowded,
                .on_node = ranks_on_node(comm, size, node, node_size),
                .eager = parent ? parent->reductions.eager : eager_limits(comm)};
  first_ranks = first_ranks_of(*this);
  if (size == 1 || node_size < size) return;
  SharedMemory window(*this, NodeSlots::window_bytes(), "small sums");
  if (window.shared()) slots = std::make_unique<NodeSlots>(std::move(window), rank, size);
  SharedMemory stage(*this, StagedSum::window_bytes(size), "large sums");
  if (stage.shared()) staged = std::make_unique<StagedSum>(std::move(stage), rank, size);
}

Communicator::State::~State() {
  for (MPI_Comm* one : {&first_ranks.comm, &reductions.comm, &node, &comm}) family->release(*one);
}

CollectiveScope Communicator::State::record(CollectiveKind kind, std::size_t bytes,
                                            std::string_view what, int peer) {
  // Messages are not counted: only collectives come in the same order on all ranks.
  const bool message = kind == CollectiveKind::kSend || kind == CollectiveKind::kRecv;
  if (!message) ++sequence;
  return CollectiveScope(*log, kind, sequence, static_cast<std::int64_t>(bytes), what, name, peer);
}

Communicator::Communicator(std::unique_ptr<State> state) : state_(std::move(state)) {}
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;

Communicator Communicator::world(const GroupOptions& options) {
  return Communicator(
      std::make_unique<State>(duplicate(MPI_COMM_WORLD), options,
                              std::make_shared<Family>(std::make_shared<CollectiveLog>())));
}

int Communicator::rank() const { return state_->rank; }
int Communicator::size() const { return state_->size; }
int Communicator::node_rank() const { return state_->node_rank; }
int Communicator::node_size() const { return state_->node_size; }
int Communicator::nodes() const { return state_->nodes; }
const CollectiveLog& Communicator::log() const { return *state_->log; }

Communicator Communicator::split(int color, int key, std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kSplit, 0, name);
  MPI_Comm part = MPI_COMM_NULL;
  const int code = MPI_Comm_split(state_->comm, color, key, &part);
  // One that failed here knows no group that it could revoke: the others must not wait for it in theirs.
  if (ulfm_is_on() && !agree(code == MPI_SUCCESS)) {
    state_->family->adopt(part);
    throw RankLostError("a rank was lost while \"" + std::string(name) + "\" was split");
  }
  check_mpi(code, "MPI_Comm_split", {name});
  if (part == MPI_COMM_NULL)
    throw CommError("split of \"" + std::string(name) + "\" left no group");
  return Communicator(std::make_unique<State>(part, name, *state_));
}

void Communicator::barrier(std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kBarrier, 0, name);
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Ibarrier(state_->comm, &request), "MPI_Ibarrier", {name});
  wait_for(state_->crowded, request, "MPI_Ibarrier", {name});
}

void Communicator::broadcast(std::span<std::byte> bytes, int root, std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kBroadcast, bytes.size(), name);
  const CallContext context = context_of(name, root, bytes.size());
  for_each_piece(bytes.size(), [&](std::size_t offset, int length) {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Ibcast(bytes.data() + offset, length, MPI_BYTE, root, state_->comm, &request),
              "MPI_Ibcast", context);
    wait_for(state_->crowded, request, "MPI_Ibcast", context);
  });
}

void Communicator::broadcast(std::string& text, int root, std::string_view name) const {
  std::uint64_t length = text.size();
  broadcast_value(length, root, name);
  text.resize(length);
  broadcast(std::as_writable_bytes(std::span<char>(text)), root, name);
}

void Communicator::all_gather(std::span<const std::byte> mine, std::span<std::byte> all,
                              std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kAllGather, mine.size(), name);
  if (all.size() != mine.size() * static_cast<std::size_t>(size()) || mine.size() > INT_MAX) {
    throw CommError("all_gather \"" + std::string(name) + "\": " + std::to_string(size()) +
                    " ranks give " + std::to_string(mine.size()) +
                    " bytes each, but there is room for " + std::to_string(all.size()) +
                    " in all (and a rank gives less than 2 GiB): a bug, please report it");
  }
  const int bytes = static_cast<int>(mine.size());
  const CallContext context = context_of(name, -1, mine.size());
  MPI_Request request = MPI_REQUEST_NULL;
  check_mpi(MPI_Iallgather(mine.data(), bytes, MPI_BYTE, all.data(), bytes, MPI_BYTE, state_->comm,
                           &request),
            "MPI_Iallgather", context);
  wait_for(state_->crowded, request, "MPI_Iallgather", context);
}

std::vector<std::string> Communicator::gather(const std::string& mine, int root,
                                              std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kGather, mine.size(), name);
  if (root < 0 || root >= size())
    check_mpi(MPI_ERR_ROOT, "gather", context_of(name, root, mine.size()));
  const auto lengths = all_gather_value<std::uint64_t>(mine.size(), name);
  if (rank() != root) {
    send(std::as_bytes(std::span<const char>(mine)), root, kBlockingTag, name);
    return {};
  }
  std::vector<std::string> all(lengths.size());
  for (int from = 0; from < size(); ++from) {
    std::string& text = all[static_cast<std::size_t>(from)];
    text.resize(lengths[static_cast<std::size_t>(from)]);
    if (from == root) {
      text = mine;
    } else {
      recv(std::as_writable_bytes(std::span<char>(text)), from, kBlockingTag, name);
    }
  }
  return all;
}

void Communicator::send(std::span<const std::byte> bytes, int to, int tag,
                        std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kSend, bytes.size(), name, to);
  const CallContext context = context_of(name, to, bytes.size());
  for_each_piece(bytes.size(), [&](std::size_t offset, int length) {
    MPI_Request request = MPI_REQUEST_NULL;
    check_mpi(MPI_Isend(bytes.data() + offset, length, MPI_BYTE, to, tag, state_->comm, &request),
              "MPI_Isend", context);
    wait_for(state_->crowded, request, "MPI_Isend", context);
  });
}

void Communicator::recv(std::span<std::byte> bytes, int from, int tag,
                        std::string_view name) const {
  const auto scope = state_->record(CollectiveKind::kRecv, bytes.size(), name, from);
  const CallContext context = context_of(name, from, bytes.size());
  for_each_piece(bytes.size(), [&](std::size_t offset, int length) {
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Status status;
    check_mpi(MPI_Irecv(bytes.data() + offset, length, MPI_BYTE, from, tag, state_->comm, &request),
              "MPI_Irecv", context);
    wait_for(state_->crowded, request, "MPI_Irecv", context, &status);
    int received = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &received), "MPI_Get_count", context);
    if (received != length) check_mpi(MPI_ERR_TRUNCATE, "MPI_Irecv (message is shorter)", context);
  });
}

std::int64_t Communicator::all_reduce(std::int64_t value, ReduceOp op,
                                      std::string_view name) const {
  return combine_in_order(all_gather_value(value, name), op);
}

double Communicator::all_reduce(double value, ReduceOp op, std::string_view name) const {
  return combine_in_order(all_gather_value(value, name), op);
}

}  // namespace lockstep
