#pragma once
#include <string>

namespace lockstep {

/// The program's version, as in CMakeLists.txt; stored with every run and checkpoint.
const char* version();

/// The commit that it was built from, with "-dirty" after it if files had changed; "" if not known.
const char* commit();

/// Of the HDF5 library in use: "1.10.8".
std::string hdf5_version();

}  // namespace lockstep
