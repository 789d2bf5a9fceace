#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "layers/call.h"

namespace lockstep {

/// What changes from step to step; everything else is fixed when a plan is compiled.
struct StepContext {
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  double loss_divisor = 1;                     // images of the global step
  std::span<const std::int64_t> positions;     // of each image in the epoch's order: keys dropout
  const float* pixels = nullptr;               // [n,H,W,C] of this micro-batch
  const std::int32_t* labels = nullptr;        // [n]
  bool first_micro_batch = true;               // gradients are written, not added
  bool update_running = true;                  // batch norm's running statistics
  float learning_rate = 0;
};

/// A contiguous range of images that one thread runs, and that thread's scratch memory.
struct Lane {
  int index = 0;
  int begin = 0, end = 0;          // images of this lane in this micro-batch; may be empty
  std::byte* scratch = nullptr;    // 64-byte aligned
};

/// Images [first,last) of the micro-batch; or units of work for calls that are not about images.
struct Range {
  int first = 0, last = 0;
  int chunk_first = 0;  // first image of the phase's chunk: where transient buffers begin
};

/// A buffer bound to memory.
struct Memory {
  std::byte* base = nullptr;
  std::size_t image_bytes = 0;  // 0: not per image
  std::size_t lane_bytes = 0;   // 0: shared by the lanes
  bool transient = false;       // holds one chunk of each lane only
  std::size_t bytes = 0;        // of one lane's copy, or all of it

  /// First element for this lane and range.
  template <class T = float>
  T* at(const Lane& lane, const Range& range) const {
    const int image = transient ? range.first - range.chunk_first : range.first;
    return reinterpret_cast<T*>(base + static_cast<std::size_t>(lane.index) * lane_bytes +
                                static_cast<std::size_t>(image) * image_bytes);
  }
  /// The copy of lane `index`, from its start.
  template <class T = float>
  T* of_lane(int index = 0) const {
    return reinterpret_cast<T*>(base + static_cast<std::size_t>(index) * lane_bytes);
  }
};

/// A call bound to memory, ready to run any range of images. Never starts threads, never allocates
/// in run(); several lanes run one kernel at the same time.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual void run(const StepContext& context, const Lane& lane, const Range& range) = 0;

  /// Called outside a step, before run() may see ranges of `images` images.
  virtual void prepare(int images) { static_cast<void>(images); }

  /// Calls that are not about images: how many units of work may be shared among threads.
  virtual int units() const { return 1; }
};

/// What kernels of one plan have in common.
struct Binding {
  const Graph& graph;
  LayoutKind layout = LayoutKind::kNhwc;
  int lanes = 1;
  int first_active_lane = 0, active_lanes = 1;  // lanes that hold images
  int images = 0;                               // of the micro-batch on this rank
};

}  // namespace lockstep
