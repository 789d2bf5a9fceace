// A value's gradient is the sum of what its consumers give.
#include <algorithm>
#include <utility>

#include "coordinator/plan/lower_passes.h"

namespace lockstep {

namespace {

std::vector<BufferId> sum(Lowering& lowering, std::vector<BufferId> parts, ValueId value,
                          OpId producer, std::size_t most) {
  DraftWriter& writer = lowering.writer;
  while (parts.size() > most) {
    const BufferId sum =
        writer.activation_gradient(lowering.graph.value(value).name + ".gradient_sum", value);
    writer.add(writer.call(CallKind::kSum, producer)
                   .read(Role::kDiffDst, parts[0])
                   .read(Role::kDiffDst2, parts[1])
                   .write(Role::kDiffSrc, sum),
               Place::kLane);
    parts.erase(parts.begin());
    parts.front() = sum;
  }
  return parts;
}

}  // namespace

/// They are summed in the order of one rank's backward: those of later chunks come first.
void contribute(Lowering& lowering, ValueId value, Contribution gradient) {
  if (!lowering.wants_gradient(value)) return;
  auto& all = lowering.micro_batch().contributions[at(value)];
  const auto behind =
      std::ranges::find_if(all, [&](const Contribution& c) { return c.chunk < gradient.chunk; });
  all.insert(behind, gradient);
}

void contribute(Lowering& lowering, ValueId value, BufferId gradient) {
  contribute(lowering, value, Contribution{gradient, lowering.part.chunk});
}

std::vector<BufferId> gradient_of(Lowering& lowering, ValueId value, OpId producer,
                                  std::size_t most) {
  std::vector<BufferId> parts;
  for (const Contribution& c : lowering.micro_batch().contributions[at(value)])
    parts.push_back(c.gradient);
  return sum(lowering, std::move(parts), value, producer, most);
}

BufferId gradient_from(Lowering& lowering, ValueId value, int chunk) {
  std::vector<BufferId> parts;
  for (const Contribution& c : lowering.micro_batch().contributions[at(value)])
    if (c.chunk == chunk) parts.push_back(c.gradient);
  if (parts.empty()) return kNone;
  const OpId producer = lowering.graph.value(value).producer;
  return sum(lowering, std::move(parts), value, producer, 1).front();
}

}  // namespace lockstep
