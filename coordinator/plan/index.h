#pragma once
#include <cstddef>

namespace lockstep {

/// What is never negative, an id, a level or a count, as an index or a size: `values[at(id)]`.
constexpr std::size_t at(int id) { return static_cast<std::size_t>(id); }

}  // namespace lockstep
