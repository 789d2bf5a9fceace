#pragma once

namespace lockstep {

/// The program's version, as in CMakeLists.txt; stored with every run and checkpoint.
const char* version();

}  // namespace lockstep
