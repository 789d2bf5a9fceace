// What `lockstep plan` says of memory is what an engine takes.
#include <gtest/gtest.h>

#include "coordinator/engine.h"
#include "coordinator/plan/memory_report.h"
#include "layers/layout.h"
#include "layers/model.h"

namespace lockstep {
namespace {

TEST(Memory, TheEngineTakesWhatWasPlanned) {
  const Communicator world = Communicator::world();
  const ModelOptions model{.family = "resnet", .depth = 8};
  const auto build = [&] { return build_model(model, {3, 32, 32}, 10); };
  const EngineOptions options{.lanes = 2,
                              .max_images = 11,
                              .bucket_bytes = 64 << 10,
                              .layout = choose_layout(build(), cpu::preferred_block()),
                              .clip_norm = 1};
  Engine engine(build(), options, world);
  engine.trainer().prepare(options.max_images);
  engine.evaluator().prepare(options.max_images);

  cpu::CpuBackend backend(engine.graph(), {.layout = options.layout, .clip_norm = 1});
  const auto groups = rank_memory(engine.graph(), engine.train_plan(), engine.eval_plan(), backend,
                                  {.workers = world.size()});
  EXPECT_EQ(groups[0].bytes(), engine.state().bytes());
  EXPECT_EQ(groups[1].bytes(), engine.arena_bytes());
  EXPECT_EQ(groups[2].parts[0].bytes, engine.trainer().scratch_bytes());
  EXPECT_EQ(groups[2].parts[1].bytes, engine.evaluator().scratch_bytes());
}

}  // namespace
}  // namespace lockstep
