#include "tests/reference/sgd.h"

namespace lockstep::reference {

void sgd_update(Tensor& parameter, Tensor& velocity, const Tensor& gradient,
                const SgdOptions& options) {
  require(parameter.dims == gradient.dims && parameter.dims == velocity.dims,
          "sgd_update of " + dims_text(parameter) + " with gradient " + dims_text(gradient));
  for (std::int64_t i = 0; i < parameter.elements(); ++i) {
    const double g = gradient[i] + options.weight_decay * parameter[i];
    velocity[i] = options.momentum * velocity[i] + g;
    const double direction = options.nesterov ? g + options.momentum * velocity[i] : velocity[i];
    parameter[i] -= options.learning_rate * direction;
  }
}

}  // namespace lockstep::reference
