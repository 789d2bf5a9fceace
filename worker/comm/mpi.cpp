#include "worker/comm/mpi.h"

#include <mpi.h>
#if defined(OPEN_MPI)
#include <mpi-ext.h>
#endif
#include <spdlog/spdlog.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "data/error.h"
#include "worker/comm/communicator_state.h"
#include "worker/comm/interfaces.h"

namespace lockstep {
namespace {

bool means_lost_rank(int error_class) {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  return error_class == MPIX_ERR_PROC_FAILED || error_class == MPIX_ERR_PROC_FAILED_PENDING ||
         error_class == MPIX_ERR_REVOKED;
#else
  return false;
#endif
}

const char* way_out(int error_class) {
  if (means_lost_rank(error_class)) return "a rank died: restart from the newest checkpoint";
  switch (error_class) {
    case MPI_ERR_TRUNCATE:
      return "the ranks disagree about the size: run the same lockstep with the same job on all";
    case MPI_ERR_NO_MEM:
      return "out of memory: use smaller batches or more nodes, and look at the room in /dev/shm";
    case MPI_ERR_RANK:
    case MPI_ERR_ROOT:
    case MPI_ERR_TAG:
    case MPI_ERR_COUNT:
    case MPI_ERR_ARG:
    case MPI_ERR_BUFFER:
    case MPI_ERR_COMM:
    case MPI_ERR_REQUEST:
      return "a wrong argument is a bug of lockstep: please report it with this line";
    default:
      return "look at the log of the peer's node, then restart from the newest checkpoint";
  }
}

std::string text_of(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return "unknown MPI error";
  return std::string(text, static_cast<std::size_t>(length));
}

bool mpi_is_up() {
  int started = 0;
  int ended = 0;
  MPI_Initialized(&started);
  MPI_Finalized(&ended);
  return started && !ended;
}

}  // namespace

void check_mpi(int code, const char* call, const CallContext& context) {
  if (code == MPI_SUCCESS) return;
  int error_class = MPI_ERR_UNKNOWN;
  MPI_Error_class(code, &error_class);

  std::string message = std::string(call) + " failed";
  if (!context.name.empty()) message += " in \"" + std::string(context.name) + "\"";
  if (context.peer >= 0) message += ", peer rank " + std::to_string(context.peer);
  if (context.bytes >= 0) message += ", " + std::to_string(context.bytes) + " bytes";
  message += ": " + text_of(error_class);
  if (code != error_class) message += " (" + text_of(code) + ")";
  message += std::string("; ") + way_out(error_class);
  if (means_lost_rank(error_class)) throw RankLostError(message);
  throw CommError(message);
}

bool mpi_has_ulfm() {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  return true;
#else
  return false;
#endif
}

bool ulfm_is_on() {
#if defined(OMPI_HAVE_MPI_EXT_FTMPI)
  int* on = nullptr;
  int found = 0;
  const int code = MPI_Comm_get_attr(MPI_COMM_WORLD, MPIX_FT, static_cast<void*>(&on), &found);
  return code == MPI_SUCCESS && found && *on;
#else
  return false;
#endif
}

MpiSession::MpiSession() { start(nullptr, nullptr); }

MpiSession::MpiSession(int& argc, char**& argv) { start(&argc, &argv); }

void MpiSession::start(int* argc, char*** argv) {
  int started = 0;
  MPI_Initialized(&started);
  if (started) throw InternalError("MPI is started twice: keep one MpiSession, in main");

  exceptions_at_start_ = std::uncaught_exceptions();
  exclude_inner_networks();
  int provided = MPI_THREAD_SINGLE;
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) {
    throw CommError(
        "this MPI library was built without threads (it offers less than "
        "MPI_THREAD_FUNNELED): build it with thread support, or use another one");
  }
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
}

MpiSession::~MpiSession() {
  if (!mpi_is_up()) return;
  if (std::uncaught_exceptions() > exceptions_at_start_) {
    spdlog::debug("MPI is not finalized: an exception ends this rank");
    return;
  }
  if (ranks_were_lost()) {
    spdlog::debug("MPI is not finalized: it would wait for ranks that are lost");
    return;
  }
  if (MPI_Finalize() != MPI_SUCCESS) spdlog::error("MPI_Finalize failed");
}

void MpiSession::abort(int code) {
  std::fflush(nullptr);
  if (mpi_is_up()) {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    if (size > 1) MPI_Abort(MPI_COMM_WORLD, code);  // alone, it would only print a page of advice
  }
  std::_Exit(code);
}

}  // namespace lockstep
