#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "layers/call.h"

namespace lockstep {

/// What changes from step to step; everything else is fixed when a plan is compiled.
struct StepContext {
  std::int64_t step = 0;
  std::uint64_t seed = 0;
  double loss_divisor = 1;                  // images of the global step
  std::span<const std::int64_t> positions;  // of each image in the epoch's order: keys dropout
  // positions of all images of the global step; empty: not known
  std::int64_t step_begin = 0, step_end = 0;
  bool leaves_out = true;                // branches that are switched off are not computed
  const float* pixels = nullptr;         // of this micro-batch: [n,H,W,C], or [n,C,H,W] if planar
  const std::int32_t* labels = nullptr;  // [n]
  bool first_micro_batch = true;         // gradients and loss are written, not added
  int images = 0;                        // of this micro-batch on this rank
  bool update_running = true;            // batch norm's running statistics
  float learning_rate = 0;
  // that the optimizer's slots have seen before this one: as many as steps, less those that were held
  std::int64_t slot_updates = 0;
  double norm_limit = 0;  // > 0: a gradient norm above it, or not a number, holds the
};                        // update: parameters and slots stay as they are

/// A contiguous range of images that one thread runs, and that thread's scratch memory.
struct Lane {
  int index = 0;
  int begin = 0, end = 0;        // images of this lane in this micro-batch; may be empty
  std::byte* scratch = nullptr;  // 64-byte aligned
};

/// Images [first, last) of lane `lane` out of `lanes` when a micro-batch has `images`: contiguous, even.
/// Lanes without images take no part in sums.
inline std::pair<int, int> lane_images(int images, int lanes, int lane) {
  const auto at = [&](int l) {
    return static_cast<int>(static_cast<std::int64_t>(images) * l / lanes);
  };
  return {at(lane), at(lane + 1)};
}

/// Images [first,last) of the micro-batch; or units of work for calls that are not about images.
struct Range {
  int first = 0, last = 0;
  int chunk_first = 0;  // first image of the phase's chunk: where transient buffers begin
};

/// A buffer bound to memory.
struct Memory {
  std::byte* base = nullptr;
  std::byte* const* slot = nullptr;  // where the base is found if it changes from batch to batch
  std::size_t image_bytes = 0;       // 0: not per image
  std::size_t lane_bytes = 0;        // 0: shared by the lanes
  bool transient = false;            // holds one chunk of each lane only
  std::size_t bytes = 0;             // of one lane's copy, or all of it

  /// First element for this lane and range.
  template <class T = float>
  T* at(const Lane& lane, const Range& range) const {
    const int image = transient ? range.first - range.chunk_first : range.first;
    return reinterpret_cast<T*>((slot ? *slot : base) +
                                static_cast<std::size_t>(lane.index) * lane_bytes +
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

  /// Called outside a step, before run() may see ranges of `images` images.
  virtual void prepare(int images) { static_cast<void>(images); }

  /// Bytes of Lane::scratch that run() uses; fixed once prepare() has been called.
  virtual std::size_t scratch_bytes() const { return 0; }

  /// Calls that are not about images: how many units of work threads may share; ranges count units.
  virtual int units() const { return 1; }

  virtual void run(const StepContext& context, const Lane& lane, const Range& range) = 0;
};

/// Buffers of a call by role.
struct Binding {
  std::vector<std::pair<Role, Memory>> memories;
  int lanes = 1;

  const Memory& operator[](Role role) const;
  bool has(Role role) const;
};

/// Implements every call of a graph on one kind of hardware.
class Backend {
 public:
  virtual ~Backend() = default;

  /// Bytes of the weights of `op` in the layout that the forward (backward) primitive wants.
  virtual std::size_t packed_bytes(OpId op, bool backward) const = 0;

  /// Bytes of one lane's weight gradient of `op`, in the primitive's layout.
  virtual std::size_t lane_gradient_bytes(OpId op) const = 0;

  /// @throws InternalError if only a reference implementation exists for the op's shapes.
  virtual std::unique_ptr<Kernel> make_kernel(const Call& call, Binding binding) = 0;

  /// Every thread that runs kernels calls this once.
  virtual void start_thread() = 0;
};

}  // namespace lockstep
