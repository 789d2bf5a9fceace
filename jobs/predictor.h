#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "coordinator/engine.h"
#include "data/augment.h"
#include "data/checkpoint.h"
#include "jobs/checkpoint_job.h"
#include "worker/comm/communicator.h"

namespace lockstep {

/// How likely a picture is of a class.
struct Likely {
  int label = 0;
  double probability = 0;
};

/// The `count` most likely classes by a picture's logits, which are finite; most likely first, of equal ones the smaller
/// label, as accuracy is counted. Their probabilities are those of softmax over all classes.
std::vector<Likely> most_likely(std::span<const float> logits, int count);

/// A checkpoint's network, which classifies pictures prepared as validation prepares them: turned upright, resized,
/// the central part cut out, channels and normalization of the training. One process, all of its CPUs.
class Predictor {
 public:
  /// `most` pictures at a time. @throws CheckpointError where the checkpoint does not tell its network,
  /// ConfigError where that does not classify whole pictures of 1 or 3 channels.
  Predictor(const Checkpoint& checkpoint, int most, const Communicator& self);
  ~Predictor();

  int classes() const { return saved_.facts.classes; }
  /// By label; "" where the training knew none.
  std::string class_name(int label) const;

  /// Whether training had pictures of any size, so that a picture's middle is taken where the run does not resize.
  bool takes_any_size() const { return any_size_; }
  const AugmentOptions& input() const { return augment_; }

  /// Makes place `place`, below `most`, of the input from a picture. @throws DataError where it is not of the size or
  /// the channels that the network was trained on.
  void put(int place, const Image& picture);

  /// [count, classes]: of the first `count` places; valid until the next call.
  std::span<const float> logits(int count);

 private:
  CheckpointJob saved_;
  AugmentOptions augment_;
  bool any_size_ = false;
  std::unique_ptr<Engine> engine_;
  Arena pixels_;
  std::vector<std::int32_t> labels_;
};

}  // namespace lockstep
