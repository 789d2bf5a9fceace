#include "tests/reference/adamw.h"

#include <cmath>

namespace lockstep::reference {

void adamw_update(Tensor& parameter, Tensor& average, Tensor& average_of_squares,
                  const Tensor& gradient, int t, const AdamWOptions& options) {
  require(parameter.dims == gradient.dims && parameter.dims == average.dims &&
              parameter.dims == average_of_squares.dims && t >= 1,
          "adamw_update of " + dims_text(parameter) + " with gradient " + dims_text(gradient));
  const double beta1 = options.beta1, beta2 = options.beta2;
  for (std::int64_t i = 0; i < parameter.elements(); ++i) {
    const double g = gradient[i];
    double &p = parameter[i], &m = average[i], &v = average_of_squares[i];
    p -= options.learning_rate * options.weight_decay * p;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double root = std::sqrt(v / (1 - std::pow(beta2, t)));
    p -= options.learning_rate * m / (1 - std::pow(beta1, t)) / (root + options.eps);
  }
}

}  // namespace lockstep::reference
