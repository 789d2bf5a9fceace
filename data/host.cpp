#include "data/host.h"

#include <unistd.h>

#include <array>
#include <span>

#include "data/files.h"

namespace lockstep {

std::string host_name() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

std::uint64_t host_key() {
  const std::string name = host_name();
  return hash64(std::as_bytes(std::span(name)));
}

}  // namespace lockstep
