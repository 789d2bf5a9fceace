#include "worker/memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

#include "data/error.h"

namespace lockstep {

Arena::Arena(std::size_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED)
    throw IoError("cannot get " + std::to_string(bytes >> 20) +
                  " MiB of memory for the arena; use a smaller batch or more ranks");
  madvise(p, bytes, MADV_HUGEPAGE);  // a wish: without huge pages it is only slower
  data_ = static_cast<std::byte*>(p);
}

Arena::~Arena() {
  if (data_) munmap(data_, bytes_);
}

Arena::Arena(Arena&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Arena& Arena::operator=(Arena&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ModelState::ModelState(const Graph& graph, const OptimizerRule& optimizer)
    : ModelState(graph, optimizer, SharedMemory(gradient_bytes(graph))) {}

ModelState::ModelState(const Graph& graph, const OptimizerRule& optimizer, SharedMemory gradients,
                       OwnedTensors owned)
    : graph_(graph),
      optimizer_(optimizer),
      owned_(std::move(owned)),
      parameter_offsets_(parameter_offsets(graph, owned_)),
      statistic_offsets_(statistic_offsets(graph, owned_)),
      parameters_(parameter_offsets_.back() * sizeof(float)),
      slots_(optimizer.slots.size() * parameter_offsets_.back() * sizeof(float)),
      statistics_(statistic_offsets_.back() * sizeof(float)),
      gradients_(std::move(gradients)) {
  if (gradients_.bytes() != gradient_bytes(graph, owned_))
    throw InternalError("model state: the memory of gradients has another size");
}

std::size_t ModelState::gradient_bytes(const Graph& graph, const OwnedTensors& owned) {
  return parameter_offsets(graph, owned).back() * sizeof(float);
}

void ModelState::initialize(std::uint64_t seed) {
  for (std::size_t i = 0; i < graph_.parameters().size(); ++i) {
    const auto id = static_cast<ParameterId>(i);
    if (owned_.parameter(id))
      initialize_parameter(graph_.parameters()[i], seed, parameter(id, parameters()).data());
  }
  for (std::size_t i = 0; i < graph_.statistics().size(); ++i)
    std::ranges::fill(statistic(static_cast<int>(i)), graph_.statistics()[i].initial);
  std::ranges::fill(slots(), 0.0f);
}

std::span<float> ModelState::slot(std::size_t index) {
  const std::size_t floats = parameter_offsets_.back();
  return slots().subspan(index * floats, floats);
}

std::span<float> ModelState::parameter(ParameterId id, std::span<float> segment) const {
  if (!owned_.parameter(id)) return {};
  return segment.subspan(parameter_offsets_[static_cast<std::size_t>(id)],
                         static_cast<std::size_t>(graph_.parameter(id).elements()));
}

std::span<float> ModelState::statistic(int id) {
  if (!owned_.statistic(id)) return {};
  const auto i = static_cast<std::size_t>(id);
  return statistics().subspan(statistic_offsets_[i],
                              static_cast<std::size_t>(graph_.statistics()[i].channels));
}

std::size_t ModelState::bytes() const {
  return parameters_.bytes() + gradients_.bytes() + slots_.bytes() + statistics_.bytes();
}

}  // namespace lockstep
