#pragma once
#include <memory>

#include "data/dataset.h"

namespace lockstep {

/// Pictures made up from (seed, split, index): for tests, benchmarks and dry runs without files.
/// Each class has a coarse 4 x 4 pattern, under noise that differs from sample to sample: it can be
/// learned.
/// @throws ConfigError on sizes that make no pictures.
std::unique_ptr<Dataset> open_synthetic(const DatasetOptions& options);

/// Pictures with masks: discs and rectangles of classes 1, 2, ... over a background of class 0, each
/// class of its own colour under noise.
std::unique_ptr<Dataset> open_synthetic_masks(const DatasetOptions& options);

}  // namespace lockstep
