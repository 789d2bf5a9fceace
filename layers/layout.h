#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "layers/call.h"
#include "layers/graph.h"

namespace lockstep {

/// Channels per block: 0 (nhwc), 8 or 16.
int block_of(LayoutKind layout);

/// The layout of a whole model: blocked where the channels per group of every convolution and every
/// offset of a concatenation or channel pad are multiples of the block (16 with AVX-512, else 8),
/// else nhwc. `wanted_block` is what the instruction set likes.
LayoutKind choose_layout(const Graph& graph, int wanted_block);

/// Whether the input images are planar [C,H,W] (in a blocked layout) or interleaved [H,W,C].
inline bool planar_input(LayoutKind layout) { return layout != LayoutKind::kNhwc; }

/// The block of one value: the graph's input and vectors are never blocked.
int value_block(const Graph& graph, ValueId value, LayoutKind layout);

constexpr std::size_t element_bytes(Storage storage) { return storage == Storage::kBf16 ? 2 : 4; }

/// How one value is stored where convolutions store their results as `activations`: the input
/// images and everything from a global average or a flattening on (vectors, gates, logits) are f32, all else is
/// as its producer's first input.
Storage value_storage(const Graph& graph, ValueId value, Storage activations);

/// Why a graph cannot store activations as bf16; empty: it can. Its input images must be read by
/// convolutions alone, its linear layers must follow a global average.
std::string bf16_obstacle(const Graph& graph);

/// The tensors of a model that a rank holds: all, or those of its stage.
struct OwnedTensors {
  std::vector<bool> parameters, statistics;  // by id; empty: all

  bool parameter(ParameterId id) const { return has(parameters, id); }
  bool statistic(int id) const { return has(statistics, id); }

 private:
  static bool has(const std::vector<bool>& mask, int id) {
    return mask.empty() || mask[static_cast<std::size_t>(id)];
  }
};

/// The tensors of some ops. `ops`: by op.
OwnedTensors tensors_of_ops(const Graph& graph, const std::vector<bool>& ops);

/// Where each parameter begins in the contiguous segments of parameters, gradients and optimizer slots, in
/// floats, 64-byte aligned; the last entry is the size of a segment. What is not owned takes none.
std::vector<std::size_t> parameter_offsets(const Graph& graph, const OwnedTensors& owned = {});

/// The same for running statistics.
std::vector<std::size_t> statistic_offsets(const Graph& graph, const OwnedTensors& owned = {});

/// Part of one parameter: `count` floats from `begin` in a segment.
struct UpdateBlock {
  std::size_t begin, count;
  bool decay;  // the parameter's
  int index;   // among the blocks of the whole model
};

/// The parameters in blocks of at most 64 Ki elements, none crossing a parameter: units of work of
/// the update that threads share. The gradient norm has a partial sum for each of the whole model,
/// so that it depends neither on the number of threads nor on stages.
std::vector<UpdateBlock> update_blocks(const Graph& graph, const OwnedTensors& owned = {});

/// Images that an op likes at a time: a power of two with src and dst together about 1 MiB (so that
/// a chunk stays in L2); for weight gradients more where adding them up would cost more than that.
/// A function of the op and the storage alone: neither ranks nor recomputation nor schedules change
/// it.
int chunk_images(const Graph& graph, const Op& op, bool weight_gradient,
                 Storage activations = Storage::kF32);

}  // namespace lockstep
