#include "layers/cpu/primitive.h"

#include <omp.h>

namespace lockstep::cpu {

const dnnl::engine& cpu_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

SingleThreaded::SingleThreaded() : threads_(omp_get_max_threads()) { omp_set_num_threads(1); }
SingleThreaded::~SingleThreaded() { omp_set_num_threads(threads_); }

LanePrimitive::LanePrimitive(const dnnl::primitive& primitive,
                             const std::vector<std::pair<int, dnnl::memory::desc>>& arguments,
                             const dnnl::memory::desc& scratchpad, int lanes, std::string name)
    : primitive_(primitive), scratch_bytes_(scratchpad.get_size()), name_(std::move(name)) {
  for (int l = 0; l < lanes; ++l) {
    PerLane lane{.stream = dnnl::stream(cpu_engine()), .memories = {}, .arguments = {}};
    auto add = [&](int index, const dnnl::memory::desc& desc) {
      lane.memories.emplace_back(desc, cpu_engine(), nullptr);
      lane.arguments.push_back({index, lane.memories.back().get()});
    };
    for (const auto& [index, desc] : arguments) add(index, desc);
    add(DNNL_ARG_SCRATCHPAD, scratchpad);
    lanes_.push_back(std::move(lane));
  }
}

void LanePrimitive::run(int lane, std::initializer_list<const void*> pointers,
                        void* scratch) const {
  const PerLane& own = lanes_[static_cast<std::size_t>(lane)];
  std::size_t i = 0;
  for (const void* pointer : pointers)
    dnnl_memory_set_data_handle(own.arguments[i++].memory, const_cast<void*>(pointer));
  dnnl_memory_set_data_handle(own.arguments[i++].memory, scratch);
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), own.stream.get(),
                             static_cast<int>(own.arguments.size()), own.arguments.data());
  if (status != dnnl_success)
    throw InternalError(name_ + ": oneDNN returned status " + std::to_string(status));
}

void refuse_reference(const std::string& implementation, const std::string& name) {
  if (implementation.rfind("ref", 0) == 0)
    throw InternalError(name + ": oneDNN has only its reference implementation (" + implementation +
                        ") for these shapes; choose other channel counts");
}

}  // namespace lockstep::cpu
