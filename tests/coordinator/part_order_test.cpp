// The order of a pipeline's parts: against tables, formulas and the rules that every order keeps.
#include "coordinator/stages/part_order.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "data/error.h"

namespace lockstep {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

PipelineTimes unit_times(const PipelineSchedule& schedule, int stages) {
  const int per_stage = schedule.chunks(1);
  const PartTimes part{.forward = 1.0 / per_stage,
                       .backward_data = 1.0 / per_stage,
                       .backward_weights = 1.0 / per_stage};
  return {.chunks = std::vector<PartTimes>(at(schedule.chunks(stages)), part), .transfer = {}};
}

Pipeline make(const std::string& name, int stages, int micro_batches, bool fold = false) {
  const PipelineSchedule schedule = parse_pipeline_schedule(name, fold);
  Pipeline pipeline{.stages = stages,
                    .micro_batches = micro_batches,
                    .chunks = {},
                    .stage_of_chunk = place_chunks(schedule, stages),
                    .order = {}};
  order_parts(schedule, unit_times(schedule, stages), pipeline);
  return pipeline;
}

double bubble(const std::string& name, int stages, int micro_batches, bool fold = false) {
  return ideal_bubble(make(name, stages, micro_batches, fold));
}

/// "F0 F1 B0 ...": of one chunk a stage.
std::string text(const std::vector<Part>& parts) {
  std::string text;
  for (const Part& p : parts) {
    const char* kind = p.kind == PartKind::kForward           ? "F"
                       : p.kind == PartKind::kBackwardWeights ? "W"
                                                              : "B";
    text += (text.empty() ? "" : " ") + std::string(kind) + std::to_string(p.micro_batch);
  }
  return text;
}

/// Every part is there once, on its chunk's stage, and those of a kind and chunk in micro-batch
/// order.
void expect_complete(const Pipeline& pipeline, bool split) {
  std::map<std::pair<int, PartKind>, int> next;
  for (int s = 0; s < pipeline.stages; ++s)
    for (const Part& part : pipeline.order[at(s)]) {
      EXPECT_EQ(pipeline.stage_of_chunk[at(part.chunk)], s);
      int& expected = next[{part.chunk, part.kind}];
      EXPECT_EQ(part.micro_batch, expected++);
    }
  EXPECT_EQ(next.size(), (split ? 3 : 2) * pipeline.stage_of_chunk.size());
  for (const auto& [row, count] : next) EXPECT_EQ(count, pipeline.micro_batches);
}

TEST(PartOrder, GpipeIsAllForwardsThenAllBackwards) {
  const Pipeline pipeline = make("gpipe", 3, 3);
  for (const auto& parts : pipeline.order) EXPECT_EQ(text(parts), "F0 F1 F2 B0 B1 B2");
}

TEST(PartOrder, OneForwardOneBackwardIsTheKnownTable) {
  const Pipeline pipeline = make("1f1b", 4, 5);
  EXPECT_EQ(text(pipeline.order[0]), "F0 F1 F2 F3 B0 F4 B1 B2 B3 B4");
  EXPECT_EQ(text(pipeline.order[1]), "F0 F1 F2 B0 F3 B1 F4 B2 B3 B4");
  EXPECT_EQ(text(pipeline.order[2]), "F0 F1 B0 F2 B1 F3 B2 F4 B3 B4");
  EXPECT_EQ(text(pipeline.order[3]), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4");
  EXPECT_EQ(most_in_flight(pipeline), (std::vector<int>{4, 3, 2, 1}));
}

TEST(PartOrder, OneStageIsGradientAccumulation) {
  EXPECT_EQ(text(make("1f1b", 1, 3).order[0]), "F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(text(make("zero-bubble", 1, 2).order[0]), "F0 B0 W0 F1 B1 W1");
}

TEST(PartOrder, BubbleOfGpipeAnd1f1bIsTheFormula) {
  for (const char* name : {"gpipe", "1f1b"})
    for (int stages : {1, 2, 3, 4, 8})
      for (int micro : {1, 2, 3, 4, 7, 16})
        EXPECT_NEAR(bubble(name, stages, micro), (stages - 1.0) / (micro + stages - 1), 1e-12)
            << name << " " << stages << "x" << micro;
}

TEST(PartOrder, InterleavingDividesTheBubble) {
  for (int stages : {2, 3, 4, 8})
    for (int v : {2, 3, 4})
      for (int groups : {1, 2, 4})
        EXPECT_NEAR(bubble("interleaved:" + std::to_string(v), stages, groups * stages),
                    (stages - 1.0) / (v * groups * stages + stages - 1), 1e-9)
            << stages << " stages, V = " << v << ", " << groups * stages << " micro-batches";
}

TEST(PartOrder, ZeroBubbleIsLowerThan1f1bWithItsMemory) {
  for (int stages : {2, 3, 4, 8})
    for (int micro : {stages, 2 * stages, 3 * stages + 1}) {
      // Qi et al., table 2, ZB-H1: (S-1)(F + B - W) idle beside M (F + B + W) of work.
      const double idle = stages - 1.0;
      EXPECT_NEAR(bubble("zero-bubble", stages, micro), idle / (3 * micro + idle), 1e-9)
          << stages << "x" << micro;
      EXPECT_LT(bubble("zero-bubble", stages, micro), bubble("1f1b", stages, micro));
      for (int held : most_held(make("zero-bubble", stages, micro))) EXPECT_LE(held, stages);
    }
}

TEST(PartOrder, FoldedStagesHoldAndWaitLittle) {
  for (const char* name : {"1f1b", "zero-bubble"})
    for (int stages : {2, 3, 4}) {
      const int micro = 4 * stages;
      for (int held : most_held(make(name, stages, micro, true))) EXPECT_LE(held, 3 * stages - 1);
      const double linear = bubble("1f1b", stages, micro),
                   folded = bubble(name, stages, micro, true);
      EXPECT_LT(folded, 1.5 * linear) << name << " " << stages;
    }
}

TEST(PartOrder, EveryOrderIsCompleteAndNeverWaitsForItself) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> seconds(0.1, 3);
  for (const char* name : {"gpipe", "1f1b", "zero-bubble", "interleaved:2", "interleaved:3"})
    for (bool fold : {false, true})
      for (int stages : {1, 2, 3, 4})
        for (int micro : {1, 2, 5, 8}) {
          if (fold && std::string(name).starts_with("inter")) continue;
          const PipelineSchedule schedule = parse_pipeline_schedule(name, fold);
          Pipeline pipeline{.stages = stages,
                            .micro_batches = micro,
                            .chunks = {},
                            .stage_of_chunk = place_chunks(schedule, stages),
                            .order = {}};
          PipelineTimes times;
          for (int c = 0; c < schedule.chunks(stages); ++c) {
            times.chunks.push_back({seconds(random), seconds(random), seconds(random)});
            if (c > 0) times.transfer.push_back(seconds(random));
          }
          order_parts(schedule, times, pipeline);
          expect_complete(pipeline, schedule.kind == ScheduleKind::kZeroBubble);
          const PipelineForecast step = forecast(pipeline, times);
          EXPECT_GE(step.bubble(), -1e-12);
          EXPECT_LT(step.bubble(), 1);
          const auto again = pipeline.order;
          order_parts(schedule, times, pipeline);
          EXPECT_EQ(pipeline.order, again);
        }
}

TEST(PartOrder, TransfersDelayTheNextStage) {
  Pipeline pipeline = make("1f1b", 2, 1);
  PipelineTimes times = unit_times({}, 2);
  times.transfer = {0.5};
  EXPECT_DOUBLE_EQ(forecast(pipeline, times).seconds, 6 + 2 * 0.5);
}

TEST(PartOrder, AnOrderThatWaitsForItselfIsFound) {
  Pipeline pipeline = make("1f1b", 2, 2);
  std::swap(pipeline.order[1][0], pipeline.order[1][1]);  // a backward before its forward
  EXPECT_THROW(forecast(pipeline, unit_times({}, 2)), InternalError);
}

TEST(Placement, LinearInterleavedFolded) {
  EXPECT_EQ(place_chunks(parse_pipeline_schedule("1f1b"), 3), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(place_chunks(parse_pipeline_schedule("interleaved:2"), 3),
            (std::vector<int>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(place_chunks(parse_pipeline_schedule("1f1b", true), 3),
            (std::vector<int>{0, 1, 2, 2, 1, 0}));
}

TEST(Placement, WrongSchedulesSayWhatThereIs) {
  for (const char* name : {"", "2f2b", "interleaved", "interleaved:1", "interleaved:2x"})
    EXPECT_THROW(parse_pipeline_schedule(name), ConfigError) << name;
  EXPECT_THROW(parse_pipeline_schedule("interleaved:2", true), ConfigError);
}

}  // namespace
}  // namespace lockstep
