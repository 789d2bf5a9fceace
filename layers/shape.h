#pragma once
#include <cstdint>
#include <string>

namespace lockstep {

/// Shape of one image of a value: [C,H,W]. The batch dimension N is not part of a graph: a plan
/// decides how many images it runs. Vectors (after global pooling, logits) are [C,1,1].
struct Shape {
  int channels = 0;
  int height = 1;
  int width = 1;

  std::int64_t elements() const { return static_cast<std::int64_t>(channels) * height * width; }
  int pixels() const { return height * width; }
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// "[N,64,32,32]", as messages print it.
inline std::string to_string(const Shape& shape) {
  return "[N," + std::to_string(shape.channels) + "," + std::to_string(shape.height) + "," +
         std::to_string(shape.width) + "]";
}

}  // namespace lockstep
