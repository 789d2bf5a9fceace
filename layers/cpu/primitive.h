#pragma once
#include <cstddef>
#include <initializer_list>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "data/error.h"
#include "layers/call.h"

namespace lockstep::cpu {

/// The one CPU engine of the process.
const dnnl::engine& cpu_engine();

/// Attributes of every primitive: the scratchpad is ours.
dnnl::primitive_attr user_scratchpad();

/// Creates primitives for one thread: oneDNN fixes the number of threads when a primitive is created.
class SingleThreaded {
 public:
  SingleThreaded();
  ~SingleThreaded();
  SingleThreaded(const SingleThreaded&) = delete;
  SingleThreaded& operator=(const SingleThreaded&) = delete;

 private:
  int threads_;
};

/// A primitive with memory objects of its own for every lane, so that lanes run it at the same time
/// and a run only sets pointers.
class LanePrimitive {
 public:
  LanePrimitive() = default;

  /// `arguments`: DNNL_ARG_... and descriptor, in the order in which run() takes pointers.
  LanePrimitive(const dnnl::primitive& primitive,
                const std::vector<std::pair<int, dnnl::memory::desc>>& arguments,
                const dnnl::memory::desc& scratchpad, int lanes, std::string name);

  bool empty() const { return lanes_.empty(); }
  std::size_t scratch_bytes() const { return scratch_bytes_; }

  /// @throws InternalError naming the op if the primitive fails.
  void run(int lane, std::initializer_list<const void*> pointers, void* scratch) const;

 private:
  struct PerLane {
    dnnl::stream stream;
    std::vector<dnnl::memory> memories;  // the scratchpad's comes last
    std::vector<dnnl_exec_arg_t> arguments;
  };
  dnnl::primitive primitive_;
  std::vector<PerLane> lanes_;
  std::size_t scratch_bytes_ = 0;
  std::string name_;
};

/// Refuses a primitive that oneDNN has only a reference implementation for: it would be hundreds of
/// times slower than the rest.  @throws InternalError naming the op and the implementation.
void refuse_reference(const std::string& implementation, const std::string& name);

/// Runs `create`, and turns a dnnl::error into an InternalError with the op's name.
template <class Create>
auto create_primitive(const std::string& name, Create create) {
  try {
    return create();
  } catch (const dnnl::error& e) {
    throw InternalError(name + ": oneDNN cannot create the primitive: " + e.what());
  }
}

/// Element order of activations for oneDNN: block 0 is nhwc.
inline dnnl::memory::format_tag activation_tag(int block) {
  using tag = dnnl::memory::format_tag;
  return block == 16 ? tag::nChw16c : block == 8 ? tag::nChw8c : tag::nhwc;
}

}  // namespace lockstep::cpu
