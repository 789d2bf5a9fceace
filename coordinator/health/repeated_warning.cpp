#include "coordinator/health/repeated_warning.h"

namespace lockstep {

std::string RepeatedWarning::add(const std::string& what) {
  last_ = what;
  if (++count_ < next_) return "";
  next_ = 2 * count_;
  said_ = count_;
  return count_ == 1 ? what : what + " (" + std::to_string(count_) + " such warnings so far)";
}

std::string RepeatedWarning::rest() const {
  if (said_ == count_) return "";
  return last_ + " (" + std::to_string(count_) + " such warnings in all)";
}

}  // namespace lockstep
