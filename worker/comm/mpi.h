#pragma once
#include <cstdint>
#include <string_view>

#include "data/error.h"

namespace lockstep {

/// A rank died while this one waited for it, or others have given up a group because one did (ULFM).
struct RankLostError : CommError {
  using CommError::CommError;
};

/// What an MPI call was doing; goes into the message of its error.
struct CallContext {
  std::string_view name = {};  // name of the collective or message: "bucket 3", "parameters"
  int peer = -1;               // rank at the other end, -1 where there is none
  std::int64_t bytes = -1;     // size of the message, -1 where there is none
};

/// Returns if `code` is MPI_SUCCESS, else throws.
/// @throws CommError naming the call, MPI's error class, the peer, the bytes and what to do;
///         RankLostError if a rank is lost.
void check_mpi(int code, const char* call, const CallContext& context = {});

/// Whether this MPI has ULFM, with which survivors of a dead rank can go on.
bool mpi_has_ulfm();
/// Whether this process was started with it (mpirun --with-ft ulfm). Needs an MpiSession.
bool ulfm_is_on();

/// MPI from here to the end of the scope. One per process, on the thread that will communicate
/// (MPI_THREAD_FUNNELED). Works without mpirun too: the world then has one rank.
/// Communicators made from MPI_COMM_WORLD afterwards return their errors (MPI_ERRORS_RETURN).
///
/// If the scope is left by an exception, MPI_Finalize is not called, because it would wait for
/// ranks that may never come: the process should end with a code other than 0, or by abort().
class MpiSession {
 public:
  /// @throws CommError if MPI cannot be started or offers less than MPI_THREAD_FUNNELED,
  ///         InternalError if MPI was already started.
  MpiSession();
  MpiSession(int& argc, char**& argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Ends this process and all others of the job with exit code `code`. For main only. Works
  /// before, during and after a session; destructors do not run.
  [[noreturn]] static void abort(int code);

 private:
  void start(int* argc, char*** argv);
  int exceptions_at_start_ = 0;
};

}  // namespace lockstep
