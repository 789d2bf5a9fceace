#pragma once
#include <cstdint>
#include <string>

namespace lockstep {

/// A warning of one kind that may come again and again: said in full at first, then when its number has
/// doubled, and the rest at the end. What happened each time is in metrics.jsonl.
class RepeatedWarning {
 public:
  /// What to say of one more: `what`, with their number from the second on; empty: nothing now.
  std::string add(const std::string& what);

  /// At the end: how many there were, and the last, where that was not said; empty: all was.
  std::string rest() const;

 private:
  std::int64_t count_ = 0, said_ = 0, next_ = 1;
  std::string last_;
};

}  // namespace lockstep
