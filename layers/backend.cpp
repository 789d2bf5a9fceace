#include "layers/backend.h"

#include "data/error.h"

namespace lockstep {

const Memory& Binding::operator[](Role role) const {
  for (const auto& [r, memory] : memories)
    if (r == role) return memory;
  throw InternalError("a call lacks the operand of role " + std::to_string(static_cast<int>(role)));
}

bool Binding::has(Role role) const {
  for (const auto& entry : memories)
    if (entry.first == role) return true;
  return false;
}

}  // namespace lockstep
