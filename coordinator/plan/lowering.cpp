#include "coordinator/plan/lowering.h"

namespace lockstep {

void Lowering::add_micro_batches() {
  micro_batches.resize(at(options.pipeline.micro_batches));
  const std::size_t values = graph.values().size(), ops = graph.ops().size();
  for (int i = 0; i < options.pipeline.micro_batches; ++i) {
    enter({.micro_batch = i});
    MicroBatch& m = micro_batch();
    m.values.assign(values, kNone);
    m.contributions.resize(values);
    for (auto* table : {&m.affine, &m.workspace}) table->assign(ops, kNone);
    value(graph.input()) = writer.add_buffer({.name = "pixels",
                                              .segment = Segment::kPixels,
                                              .image_bytes = writer.value_bytes(graph.input())});
  }
  enter({});
}

void Lowering::enter(const Part& next) {
  part = next;
  writer.set_micro_batch(next.micro_batch);
}

const FusedNorm* Lowering::group_of(OpId id) const {
  const int index = fusion.group_of[at(id)];
  return index == kNone ? nullptr : &fusion.groups[at(index)];
}

}  // namespace lockstep
