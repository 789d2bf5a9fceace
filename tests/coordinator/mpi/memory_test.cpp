// What `lockstep plan` says of memory is what an engine takes.
#include <gtest/gtest.h>

#include "coordinator/engine.h"
#include "layers/cpu/cpu_backend.h"
#include "layers/layout.h"
#include "layers/model.h"

namespace lockstep {
namespace {

TEST(Memory, TheEngineTakesWhatWasPlanned) {
  const Communicator world = Communicator::world();
  const ModelOptions model{.family = "resnet", .depth = 8};
  const auto build = [&] { return build_model(model, {3, 32, 32}, 10); };
  const PlanOptions plan{.lanes = 2,
                         .max_images = 11,
                         .layout = choose_layout(build(), cpu::preferred_block()),
                         .bucket_bytes = 64 << 10,
                         .recompute = {}};
  Engine engine(plan_rank(build(), {.plan = plan, .replicas = world.size(), .clip_norm = 1}),
                world);
  engine.trainer().prepare(plan.max_images);
  engine.evaluator().prepare(plan.max_images);

  const std::vector<MemoryGroup> groups = memory_of(engine.plan());
  EXPECT_EQ(groups[0].bytes(), engine.state().bytes());
  EXPECT_EQ(groups[1].bytes(), engine.arena_bytes());
  EXPECT_EQ(groups[2].parts[0].bytes, engine.trainer().scratch_bytes());
  EXPECT_EQ(groups[2].parts[1].bytes, engine.evaluator().scratch_bytes());
}

}  // namespace
}  // namespace lockstep
