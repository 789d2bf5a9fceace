#pragma once

namespace lockstep {

/// Physical cores on which this process may run (its affinity mask); hardware threads of one core
/// count once.
int usable_cores();

}  // namespace lockstep
