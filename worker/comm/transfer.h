#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "worker/comm/communicator.h"

namespace lockstep {

/// A message between two ranks that travels beside computation. One end calls start_send(), the
/// other start_receive() with as many bytes and the same tag (0 to 32767); messages of two ranks
/// with one tag arrive in their order. Reusable: starting again allocates nothing. If it is
/// destroyed under way, it is given up. Must not outlive the group.
class Transfer {
 public:
  explicit Transfer(const Communicator& group);
  Transfer(Transfer&&) noexcept;
  Transfer& operator=(Transfer&&) noexcept;
  ~Transfer();

  /// `bytes` and `name` must live until the transfer has ended. @throws CommError
  void start_send(std::span<const std::byte> bytes, int to, int tag, std::string_view name);
  void start_receive(std::span<std::byte> bytes, int from, int tag, std::string_view name);

  /// Lets MPI go on; true when the transfer has ended, or none was started. @throws CommError
  bool progress();

  /// Waits until it has ended. @throws CommError
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
