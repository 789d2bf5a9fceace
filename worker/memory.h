#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "layers/layout.h"
#include "layers/optimizer.h"
#include "worker/comm/shared_memory.h"

namespace lockstep {

/// Zeroed memory on page boundaries, in huge pages where the system gives them.
class Arena {
 public:
  explicit Arena(std::size_t bytes = 0);
  ~Arena();
  Arena(Arena&& other) noexcept;
  Arena& operator=(Arena&& other) noexcept;

  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
};

/// What training changes and a checkpoint keeps: contiguous f32 segments, each tensor 64-byte aligned
/// at parameter_offsets() (statistic_offsets()), in the graph's order. Padding stays zero.
class ModelState {
 public:
  /// Of a rank alone.
  ModelState(const Graph& graph, const OptimizerRule& optimizer);
  /// `gradients` (gradient_bytes()) is where gradients lie: memory that the ranks of a node share,
  /// for sums without copies. What is not `owned` takes no memory.
  ModelState(const Graph& graph, const OptimizerRule& optimizer, SharedMemory gradients,
             OwnedTensors owned = {});
  static std::size_t gradient_bytes(const Graph& graph, const OwnedTensors& owned = {});

  const OwnedTensors& owned() const { return owned_; }

  /// Fills parameters from the seed and statistics with their starting values; slots are zeroed.
  void initialize(std::uint64_t seed);

  std::span<float> parameters() { return span(parameters_); }
  std::span<float> gradients() { return span(gradients_); }
  const SharedMemory& gradient_memory() const { return gradients_; }
  const OptimizerRule& optimizer() const { return optimizer_; }
  /// Of optimizer().slots.
  std::span<float> slot(std::size_t index);
  std::span<float> slots() { return span(slots_); }  // one after the other
  std::span<float> statistics() { return span(statistics_); }

  /// One tensor of a segment; empty if it is not owned.
  std::span<float> parameter(ParameterId id, std::span<float> segment) const;
  std::span<float> statistic(int id);

  const Graph& graph() const { return graph_; }
  std::size_t bytes() const;

 private:
  template <typename Memory>
  static std::span<float> span(Memory& memory) {
    return {reinterpret_cast<float*>(memory.data()), memory.bytes() / sizeof(float)};
  }
  const Graph& graph_;
  OptimizerRule optimizer_;
  OwnedTensors owned_;
  std::vector<std::size_t> parameter_offsets_, statistic_offsets_;
  Arena parameters_, slots_, statistics_;
  SharedMemory gradients_;
};

}  // namespace lockstep
