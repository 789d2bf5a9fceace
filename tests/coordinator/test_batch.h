#pragma once
#include <cstdint>
#include <vector>

#include "layers/model.h"
#include "tests/reference/tensor.h"

namespace lockstep {

/// One global batch: images [N,C,H,W] and labels [N] or [N*H*W].
struct TestBatch {
  reference::Tensor images;
  std::vector<int> labels;

  std::int64_t count() const { return images.dim(0); }
};

/// Normal noise that floats hold exactly, and labels of all classes.
inline TestBatch random_batch(const Shape& s, std::int64_t images, int classes,
                              std::uint64_t seed = 3) {
  TestBatch batch{reference::random_tensor({images, s.channels, s.height, s.width}, seed), {}};
  for (double& v : batch.images.values) v = static_cast<float>(v);
  for (int i = 0; i < images; ++i)
    batch.labels.push_back((i * 5 + static_cast<int>(seed)) % classes);
  return batch;
}

/// The same, with a label for every pixel where the model wants that.
inline TestBatch random_batch_for(const ModelOptions& model, const Shape& s, std::int64_t images,
                                  int classes, std::uint64_t seed) {
  TestBatch batch = random_batch(s, images, classes, seed);
  if (!labels_pixels(model)) return batch;
  batch.labels.clear();
  for (int i = 0; i < static_cast<int>(images) * s.pixels(); ++i)
    batch.labels.push_back((i * 7 + i / 5 + static_cast<int>(seed)) % classes);
  return batch;
}

}  // namespace lockstep
