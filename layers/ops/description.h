#pragma once
#include <concepts>
#include <initializer_list>
#include <string>

#include "layers/ops/sites.h"
#include "layers/ops/traits.h"

namespace lockstep {

// What an op says of itself. An op is a struct in layers/ops/NAME.h: its attributes as plain values, and
// the members that OpDescription lists. Shapes are per image, [C,H,W]; see layers/shape.h.

/// " 3 1 1": attributes in the text of what evaluation computes.
std::string attribute_text(std::initializer_list<int> values);
std::string attribute_text(float value);

template <class T>
concept HasTraits = requires(const T& op) {
  { op.traits() } -> std::same_as<OpTraits>;
};
template <class T>
concept HasShape = requires(const T& op, const ShapeSite& site) {
  { op.shape(site) } -> std::same_as<Shape>;
};
template <class T>
concept HasTensors = requires(const T& op, const std::string& name, const Shape& src) {
  { op.tensors(name, src) } -> std::same_as<OpTensors>;
};
template <class T>
concept HasCost = requires(const T& op, const CostSite& site) {
  { op.cost(site) } -> std::same_as<OpCost>;
};
template <class T>
concept HasBackwardNeeds = requires(const T& op, const Shape& dst) {
  { op.backward_needs(dst) } -> std::same_as<BackwardNeeds>;
};
template <class T>
concept HasBlocks = requires(const T& op, const LayoutSite& site) {
  { op.fits_blocks(site) } -> std::same_as<bool>;
};
template <class T>
concept HasBf16 = requires(const T& op, const StorageSite& site) {
  { op.bf16_obstacle(site) } -> std::same_as<std::string>;
};
template <class T>
concept HasEvaluationText = requires(const T& op) {
  { op.evaluation_text() } -> std::same_as<std::string>;
};

/// Everything that a graph and a plan ask of an op. Each lack is an error of its own.
template <class T>
constexpr bool is_op_description() {
  static_assert(HasTraits<T>, "an op lacks: OpTraits traits() const");
  static_assert(HasShape<T>, "an op lacks: Shape shape(const ShapeSite&) const");
  static_assert(HasTensors<T>,
                "an op lacks: OpTensors tensors(const std::string& name, const Shape& src) const");
  static_assert(HasCost<T>, "an op lacks: OpCost cost(const CostSite&) const");
  static_assert(HasBackwardNeeds<T>,
                "an op lacks: BackwardNeeds backward_needs(const Shape& dst) const");
  static_assert(HasBlocks<T>, "an op lacks: bool fits_blocks(const LayoutSite&) const");
  static_assert(HasBf16<T>, "an op lacks: std::string bf16_obstacle(const StorageSite&) const");
  static_assert(HasEvaluationText<T>, "an op lacks: std::string evaluation_text() const");
  return true;
}

}  // namespace lockstep
