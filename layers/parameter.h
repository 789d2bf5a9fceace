#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

/// How a parameter starts.
enum class Init { kZero, kConstant, kNormal, kHeNormal, kLinearUniform };

/// A tensor that training updates. Order: the order of the ops that own them.
struct Parameter {
  std::string name;                // "group1.block0.conv1.weight"
  std::vector<std::int64_t> dims;  // plain, row-major: conv [K,C/groups,kh,kw], linear [out,in]
  Init init = Init::kZero;
  float constant = 0.0f;  // kConstant: the value; kNormal: the standard deviation
  bool decay = false;     // weight decay applies (conv and linear weights only)
  std::int64_t elements() const;
};

/// A running statistic of a batch norm; saved with checkpoints, not updated by the optimizer.
struct Statistic {
  std::string name;  // "group1.block0.norm1.mean"
  int channels = 0;
  float initial = 0.0f;  // mean 0, var 1
};

}  // namespace lockstep
