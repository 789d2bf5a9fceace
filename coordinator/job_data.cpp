#include "coordinator/job_data.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "data/error.h"

namespace lockstep {

namespace {

/// Published channel means and deviations, for pixels in [0,1].
void default_statistics(const DatasetInfo& info, AugmentOptions& augment) {
  const std::string& source = info.origin.empty() ? info.source : info.origin;
  if ((source == "cifar10" || source == "cifar100") && augment.channels == 3) {
    augment.mean = {0.4914f, 0.4822f, 0.4465f};
    augment.std = {0.2470f, 0.2435f, 0.2616f};
  } else if (augment.channels == 3 && !source.starts_with("synthetic")) {  // ImageNet's
    augment.mean = {0.485f, 0.456f, 0.406f};
    augment.std = {0.229f, 0.224f, 0.225f};
  } else {
    augment.mean = {0.5f};
    augment.std = {0.25f};
  }
}

/// Before the data's own fill what the job leaves out: only what the user has said is complained of.
void check_pixel_numbers(const char* key, const std::vector<float>& values, int channels) {
  if (values.size() <= 1 || values.size() == static_cast<std::size_t>(channels)) return;
  throw ConfigError(std::string(key) + " has " + std::to_string(values.size()) +
                    " numbers; give one for all channels, or one for each of the input's " +
                    std::to_string(channels));
}

AugmentOptions augment_options(const Job& job, const DatasetInfo& info, const Shape& input) {
  AugmentOptions a{.channels = input.channels, .height = input.height, .width = input.width};
  a.pad = job.augment.pad;
  a.flip = job.augment.flip;
  a.cutout = job.augment.cutout;
  a.random_resized_crop = job.augment.random_resized_crop;
  a.crop_scale_min = static_cast<float>(job.augment.min_scale);
  a.resize = job.augment.resize;
  check_pixel_numbers("augment.mean", job.augment.mean, input.channels);
  check_pixel_numbers("augment.std", job.augment.std, input.channels);
  default_statistics(info, a);
  if (!job.augment.mean.empty()) a.mean = job.augment.mean;
  if (!job.augment.std.empty()) a.std = job.augment.std;
  check(a);
  return a;
}

int input_side(int from_job, int from_data) {
  const int side = from_job > 0 ? from_job : from_data;
  if (side <= 0)
    throw ConfigError(
        "the pictures have sizes of their own: set data.height and data.width to the network's, "
        "e.g. 224 and 224");
  return side;
}

std::int64_t limited(std::int64_t limit, std::int64_t size) {
  return limit > 0 ? std::min(limit, size) : size;
}

/// What follows from the data sets, whoever has opened them.
void describe(const Job& job, JobData& data) {
  const DatasetInfo& info = data.train_set().info();
  check_labels(job, info.masks);
  data.input = {input_channels(job.data.channels, info), input_side(job.data.height, info.height),
                input_side(job.data.width, info.width)};
  data.classes = info.classes;
  data.class_names = info.class_names;
  data.train_samples = limited(job.data.train_samples, info.samples);
  if (job.train.validate_every > 0) {
    const DatasetInfo& val = data.val_set().info();
    data.val_samples = limited(job.data.val_samples, val.samples);
    if (val.classes != data.classes)
      throw DataError(info.path + ": training data has " + std::to_string(data.classes) +
                      " classes, validation data " + std::to_string(val.classes));
  }
  data.augment = augment_options(job, info, data.input);
}

/// Every rank by itself.
JobData open_shared(const Job& job) {
  JobData data;
  data.train = open_dataset(dataset_options(job, "train"));
  if (job.train.validate_every > 0) data.val = open_dataset(dataset_options(job, "val"));
  describe(job, data);
  return data;
}

void tell_warnings(const JobData& data) {
  const auto tell = [](const DatasetInfo& info) {
    for (const std::string& warning : info.warnings)
      spdlog::warn("{} data: {}", info.split, warning);
  };
  tell(data.train_set().info());
  if (data.val || data.val_scatter) tell(data.val_set().info());
}

}  // namespace

std::size_t bytes_in_memory(const Shape& stored, std::int64_t samples) {
  return static_cast<std::size_t>((stored.elements() + 1) * samples);
}

std::size_t bytes_in_memory(const JobData& data) {
  if (!data.train) return 0;
  const DatasetInfo& info = data.train->info();
  if (info.source != "idx" && info.source != "cifar10" && info.source != "cifar100") return 0;
  return bytes_in_memory({info.channels, info.height, info.width},
                         data.train->size() + (data.val ? data.val->size() : 0));
}

DatasetOptions dataset_options(const Job& job, const std::string& split) {
  DatasetOptions options{.source = job.data.source, .path = job.data.path, .split = split};
  options.classes = job.data.classes;
  options.ignore_label = job.data.ignore_label;
  options.synthetic_samples = job.data.synthetic_samples;
  options.synthetic_classes = job.data.synthetic_classes;
  if (job.data.channels > 0) options.synthetic_channels = job.data.channels;
  if (job.data.height > 0) options.synthetic_height = job.data.height;
  if (job.data.width > 0) options.synthetic_width = job.data.width;
  options.synthetic_seed = job.run.seed;
  return options;
}

void check_labels(const Job& job, bool masks) {
  if (labels_pixels(job.model) == masks) return;
  throw ConfigError("model.family = " + job.model.family + " and data.source = " + job.data.source +
                    (masks ? ": the data has a label for every pixel; use family = unet"
                           : ": the model wants a label for every pixel; use source = masks or "
                             "synthetic_masks, or a packed one of them"));
}

int input_channels(int from_job, const DatasetInfo& info) {
  if (from_job == 0) return info.channels > 0 ? info.channels : 3;
  const std::string asked = "data.channels = " + std::to_string(from_job);
  if (info.channels == 0 && from_job != 1 && from_job != 3)
    throw ConfigError(
        asked +
        ": picture files give 1 channel or 3; for others use raw pixels, [N,H,W,C] in IDX files "
        "(data.source = idx) or packed");
  if (info.channels > 0 && !can_become(info.channels, from_job))
    throw ConfigError(asked + ", but " + info.path + " has pictures of " +
                      std::to_string(info.channels) +
                      ": leave the key out, or pack the channels that are meant");
  return from_job;
}

void check_shares(const Job& job, std::int64_t train_samples, int replicas) {
  const auto refuse = [&](const std::string& what, const std::string& more) {
    const std::string shares =
        std::to_string(replicas) + (job.parallel.stages > 1 ? " replicas" : " ranks");
    throw ConfigError(what + " for " + shares + ": some would never have one; " + more +
                      ", or start fewer ranks");
  };
  if (train_samples < replicas)
    refuse("the training data has " + std::to_string(train_samples) + " images", "use more data");
  if (job.train.batch < replicas)
    refuse("train.batch = " + std::to_string(job.train.batch) + " images of a step",
           "set it to " + std::to_string(replicas) + " at least");
}

void close_data(JobData& data) {
  if (data.train_scatter) return;
  data.train.reset();
  data.val.reset();
}

JobData open_job_data(const Job& job) {
  JobData data = open_shared(job);
  tell_warnings(data);
  return data;
}

JobData open_job_data(const Job& job, const Communicator& world) {
  JobData data;
  if (job.data.distribute != "scatter" || world.size() == 1) {
    data = open_shared(job);
  } else {
    auto open = [&](const char* split) {
      return std::make_unique<SampleScatter>(
          world.rank() == 0 ? open_dataset(dataset_options(job, split)) : nullptr, world);
    };
    data.train_scatter = open("train");
    if (job.train.validate_every > 0) data.val_scatter = open("val");
    describe(job, data);
  }
  if (world.rank() == 0) tell_warnings(data);
  return data;
}

}  // namespace lockstep
