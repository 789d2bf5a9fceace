#pragma once
#include <cstdint>
#include <string>

namespace lockstep {

/// This machine's name.
std::string host_name();

/// A number for it: equal for the processes of one machine.
std::uint64_t host_key();

}  // namespace lockstep
