#include "coordinator/job_data.h"

#include <gtest/gtest.h>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

Job job_of_pictures(const TempFolder& folder) {
  folder.write("train/cat/a.jpg", {});  // opening lists the files and reads none
  folder.write("train/dog/b.jpg", {});
  Job job;
  job.data.source = "folder";
  job.data.path = folder.path();
  job.data.height = job.data.width = 16;
  job.train.validate_every = 0;
  return job;
}

TEST(JobDataInput, OfPictureFilesHasThreeChannelsUnlessTheJobSaysOne) {
  const TempFolder folder;
  Job job = job_of_pictures(folder);
  const JobData data = open_job_data(job);
  EXPECT_EQ(data.input.channels, 3);
  EXPECT_EQ(data.augment.mean.size(), 3u);
  job.data.channels = 1;
  EXPECT_EQ(open_job_data(job).input.channels, 1);
}

TEST(JobDataInput, HasTheChannelsOfTheData) {
  const TempFolder folder;
  Job files = job_of_pictures(folder);
  files.data.channels = 4;
  EXPECT_EQ(message_of<ConfigError>([&] { open_job_data(files); }),
            "data.channels = 4: picture files give 1 channel or 3; for others use raw pixels, "
            "[N,H,W,C] in IDX files "
            "(data.source = idx) or packed");
  folder.write("train-images-idx4-ubyte",
               {0, 0, 8, 4, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 5, 1, 2, 3, 4, 5});
  folder.write("train-labels-idx1-ubyte", {0, 0, 8, 1, 0, 0, 0, 1, 1});
  Job job;
  job.data.source = "idx";
  job.data.path = folder.path();
  job.train.validate_every = 0;
  EXPECT_EQ(open_job_data(job).input.channels, 5);
  job.augment.mean = job.augment.std = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
  EXPECT_EQ(open_job_data(job).augment.std.size(), 5u);
  job.augment.mean = {0.1f, 0.2f, 0.3f};
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open_job_data(job); }),
                       "augment.mean has 3 numbers; give one for all channels, or one for each of "
                       "the input's 5"));
  job.data.channels = 3;
  EXPECT_TRUE(contains(
      message_of<ConfigError>([&] { open_job_data(job); }),
      "data.channels = 3, but " + folder.path() + " has pictures of 5: leave the key out"));
}

TEST(JobDataInput, OfPictureFilesNeedsASize) {
  const TempFolder folder;
  Job job = job_of_pictures(folder);
  job.data.height = job.data.width = 0;
  EXPECT_TRUE(contains(message_of<ConfigError>([&] { open_job_data(job); }),
                       "set data.height and data.width"));
}

TEST(Shares, EveryReplicaHasImages) {
  Job job;
  job.train.batch = 8;
  EXPECT_NO_THROW(check_shares(job, 8, 8));
  EXPECT_EQ(message_of<ConfigError>([&] { check_shares(job, 3, 4); }),
            "the training data has 3 images for 4 ranks: some would never have one; use more data, "
            "or start fewer ranks");
  EXPECT_EQ(message_of<ConfigError>([&] { check_shares(job, 100, 9); }),
            "train.batch = 8 images of a step for 9 ranks: some would never have one; set it to 9 "
            "at least, or start "
            "fewer ranks");
  job.parallel.stages = 2;
  EXPECT_TRUE(
      contains(message_of<ConfigError>([&] { check_shares(job, 100, 9); }), "for 9 replicas"));
}

}  // namespace
}  // namespace lockstep
