#pragma once
#include "tests/gpu/harness.h"

namespace lockstep::gpu_test {

// Each runs an op's phases on several shapes: small ones against the twins, large ones for their time.
void test_convolutions(Bench& bench, Storage storage, bool large);
void test_linear(Bench& bench, bool large);
void test_batch_norm(Bench& bench, Storage storage, bool large);
void test_pools(Bench& bench, Storage storage, bool large);
void test_elementwise(Bench& bench, Storage storage, bool large);
void test_draws(Bench& bench, Storage storage);
void test_loss(Bench& bench, bool large);
void test_update(Bench& bench, bool large);

}  // namespace lockstep::gpu_test
