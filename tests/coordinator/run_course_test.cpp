#include "coordinator/run_course.h"

#include <gtest/gtest.h>

namespace lockstep {
namespace {

constexpr std::int64_t kSamples = 92;  // 6 steps an epoch, the last of 12

Job job_of(double epochs) {
  Job job;
  job.train.batch = 16;
  job.train.epochs = epochs;
  return job;
}

void step(RunCourse& course) { course.advance(course.next_positions()); }

TEST(RunCourse, StepsCoverEpochs) {
  const Job job = job_of(2);
  RunCourse course(job, kSamples);
  course.begin_where_left();
  EXPECT_EQ(course.total_steps, 12);
  for (int i = 0; i < 5; ++i) step(course);
  EXPECT_FALSE(course.ends_epoch());
  EXPECT_EQ(course.next_positions().count(), 12);
  step(course);
  EXPECT_TRUE(course.ends_epoch());
  EXPECT_EQ(course.where.epoch, 1);
  EXPECT_EQ(course.where.cursor, 0);
  EXPECT_FALSE(course.ended());
  while (!course.ended()) step(course);
  EXPECT_EQ(course.where.step, 12);
}

TEST(RunCourse, CountsHeldStepsAsNoUpdate) {
  const Job job = job_of(1);
  RunCourse course(job, kSamples);
  course.begin_where_left();
  step(course);
  course.advance(course.next_positions(), true);
  step(course);
  EXPECT_EQ(course.where.step, 3);
  EXPECT_EQ(course.where.slot_lag, 1);
}

TEST(RunCourse, GoesOnInTheMiddleOfAnEpochWithAnotherBatch) {
  Job job = job_of(2);
  job.train.batch = 8;
  RunCourse course(job, kSamples);
  course.where = {.step = 3, .epoch = 0, .cursor = 48};
  course.begin_where_left();
  EXPECT_EQ(course.started_at, 3);
  EXPECT_EQ(course.total_steps, 3 + 6 + 12);  // 44 samples, then 92, in eights
}

TEST(RunCourse, FewerSamplesThanBeforeEndTheEpoch) {
  const Job job = job_of(2);
  RunCourse course(job, 40);
  course.where = {.step = 3, .epoch = 0, .cursor = 48};
  course.begin_where_left();
  EXPECT_EQ(course.where.epoch, 1);
  EXPECT_EQ(course.where.cursor, 0);
}

TEST(RunCourse, MaxStepsEndsIt) {
  Job job = job_of(2);
  job.train.max_steps = 4;
  RunCourse course(job, kSamples);
  course.begin_where_left();
  while (!course.ended()) step(course);
  EXPECT_EQ(course.where.step, 4);
  EXPECT_TRUE(course.ends_epoch());
  EXPECT_TRUE(course.validation_due());
}

TEST(RunCourse, EarlyStoppingCountsValidations) {
  Job job = job_of(10);
  job.train.early_stopping = 2;
  RunCourse course(job, kSamples);
  course.begin_where_left();
  course.where.step = 18;
  EXPECT_FALSE(course.no_longer_improves());  // there was none yet
  course.where.best_step = 12;
  EXPECT_FALSE(course.no_longer_improves());
  course.where.best_step = 6;
  EXPECT_TRUE(course.no_longer_improves());
  EXPECT_TRUE(course.ended());
}

TEST(RunCourse, CheckpointsAreDueAsTheJobSays) {
  Job job = job_of(2);
  RunCourse course(job, kSamples);
  course.begin_where_left();
  const auto due = [&](std::int64_t at_step, std::int64_t cursor) {
    course.where.step = at_step;
    course.where.cursor = cursor;
    return course.checkpoint_due();
  };
  EXPECT_TRUE(due(6, 0));
  EXPECT_FALSE(due(7, 16));
  EXPECT_TRUE(due(12, 0));
  job.checkpoint.every_steps = 4;
  EXPECT_TRUE(due(8, 32));
  EXPECT_FALSE(due(6, 0));
  course.where.best_step = 6;
  EXPECT_TRUE(due(6, 0));  // the best one
  job.checkpoint.mean_time_to_failure_s = 60;
  EXPECT_FALSE(due(8, 32));
  EXPECT_TRUE(due(12, 0));
}

}  // namespace
}  // namespace lockstep
