#include "layers/ops/description.h"

#include <algorithm>
#include <utility>

#include "data/error.h"
#include "data/number_text.h"

namespace lockstep {

void ShapeSite::fail(const std::string& what) const {
  std::string message = name + " (" + kind + "): " + what;
  if (!hint.empty()) message += "; " + hint;
  throw ShapeError(message);
}

void ShapeSite::require(bool condition, const std::string& what) const {
  if (!condition) fail(what);
}

int ShapeSite::windowed(int size, int kernel, int stride, int padding, bool ceil_mode) const {
  require(kernel >= 1 && stride >= 1 && padding >= 0,
          "kernel and stride must be at least 1 and padding at least 0");
  const int room = size + 2 * padding - kernel;
  require(room >= 0, "input " + to_string(src()) + " is smaller than the kernel " +
                         std::to_string(kernel) + "; use a larger image or fewer strides");
  int out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // With ceil_mode the last window must still start inside the image or its left padding.
  if (ceil_mode && (out - 1) * stride >= size + padding) --out;
  return out;
}

Parameter weight_parameter(const std::string& op, std::vector<std::int64_t> dims, Init init) {
  return {.name = op + ".weight", .dims = std::move(dims), .init = init, .decay = true};
}

Parameter vector_parameter(const std::string& name, int size, float constant) {
  return {.name = name, .dims = {size}, .init = Init::kConstant, .constant = constant};
}

std::vector<Parameter> norm_parameters(const std::string& op, int channels, float gamma) {
  return {vector_parameter(op + ".weight", channels, gamma),
          vector_parameter(op + ".bias", channels, 0.0f)};
}

OpCost CostSite::cost(double forward_flops, double backward_flops, double forward_elements,
                      double backward_elements) const {
  constexpr double kFloat = 4;  // bytes
  return {forward_flops, backward_flops, kFloat * forward_elements, kFloat * backward_elements};
}

OpCost CostSite::product(double multiply_adds, double bias_elements) const {
  const double flops = 2 * multiply_adds;
  const double data_flops = reads_images ? 0 : flops;
  const double data_elements = reads_images ? 0 : in + out;
  return cost(flops + bias_elements, flops + data_flops + bias_elements, in + out,
              in + out + data_elements);
}

OpCost CostSite::norm() const { return cost(5 * in, 8 * in, 3 * in, 5 * in); }

bool LayoutSite::moves_channels() const {
  return std::ranges::all_of(inputs, [&](const Shape& shape) { return whole(shape.channels); }) &&
         whole(dst.channels);
}

std::string StorageSite::of_images() const {
  return any_reads_images ? "only convolutions may read the input images" : "";
}

std::string StorageSite::unlike_inputs() const {
  if (any_reads_images) return of_images();
  const bool alike = std::ranges::all_of(bf16, [&](bool b) { return b == bf16[0]; });
  return alike ? "" : "its inputs lie on both sides of a global average";
}

std::string attribute_text(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += " " + std::to_string(value);
  return text;
}

std::string attribute_text(float value) { return " " + digits_of(value); }

}  // namespace lockstep
