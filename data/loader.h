#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/augment.h"
#include "data/dataset.h"

namespace lockstep {

struct BatchRequest {
  std::int64_t epoch = 0;
  std::vector<std::int64_t> samples;  // dataset indices, in order; may be empty
  bool training = true;
};

/// Memory of the loader; valid until the following next(), or the loader's end.
struct Batch {
  std::span<const float> pixels;          // [n,H,W,C], normalized; starts on 64 bytes
  std::span<const std::int32_t> labels;   // [n]; [n,H,W] where pixels have labels
  std::span<const std::int64_t> samples;  // [n], as requested
};

struct LoaderOptions {
  int threads = 1;         // background threads
  int depth = 3;           // batches kept ahead of the one in use
  int batch_capacity = 1;  // samples in the largest batch
};

/// Reads, decodes and augments batches in background threads (a oneTBB arena of its own), ahead of
/// the step. What a batch holds depends on (dataset, options, seed, request) only, never on threads
/// or timing. The caller's thread never works and never spins: next() sleeps until the batch is
/// there. request() and next() belong to one thread. The dataset must outlive the loader.
class Loader {
 public:
  /// Takes (depth + 1) x batch_capacity inputs of memory, once. @throws ConfigError.
  Loader(const Dataset& dataset, AugmentOptions augment, std::uint64_t seed, LoaderOptions options);
  /// Gives up what is not finished; waits for at most one sample per thread.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Queues a batch and returns at once; as many as the caller likes (an epoch, say).
  /// Work on it starts when one of the depth + 1 places is free.
  void request(BatchRequest request);

  /// The oldest request's batch; waits for it. An error of the background work is rethrown here (of
  /// the batch's first bad sample), and uses the request up.
  Batch next();

  /// Requests that next() has not returned yet.
  std::size_t pending() const;

  /// How long next() has waited, in all.
  double waited_seconds() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace lockstep
