#include "layers/ops.h"

namespace lockstep {

OpTraits traits_of(const OpAttributes& attributes) {
  return std::visit([](const auto& op) { return op.traits(); }, attributes);
}

bool is_loss(const OpAttributes& attributes) {
  return traits_of(attributes).labels != Labels::kNone;
}

std::string kind_name(const OpAttributes& attributes) {
  return std::string(traits_of(attributes).kind);
}

}  // namespace lockstep
