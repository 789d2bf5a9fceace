#include "data/validate.h"

#include <oneapi/tbb/blocked_range.h>
#include <oneapi/tbb/enumerable_thread_specific.h>
#include <oneapi/tbb/parallel_for.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {
namespace {

/// Sums over pixels; integers, so that they do not depend on the order of adding.
struct PixelSums {
  std::vector<std::uint64_t> values = std::vector<std::uint64_t>(3);  // grey counts as all three
  std::vector<std::uint64_t> squares = values;
  std::uint64_t pixels = 0;
  std::size_t channels = 1;  // the most of a picture

  void make_room(std::size_t of_picture) {
    channels = std::max(channels, of_picture);
    values.resize(std::max(values.size(), of_picture));
    squares.resize(values.size());
  }

  void add(const Image& image) {
    const auto own = static_cast<std::size_t>(image.channels);
    make_room(own);
    pixels += image.pixels.size() / own;
    for (std::size_t i = 0; i < image.pixels.size(); i += own) {
      for (std::size_t c = 0; c < (own == 1 ? 3 : own); ++c) {
        const std::uint64_t value = image.pixels[i + (own == 1 ? 0 : c)];
        values[c] += value;
        squares[c] += value * value;
      }
    }
  }

  void add(const PixelSums& other) {
    make_room(other.channels);
    for (std::size_t c = 0; c < other.values.size(); ++c) {
      values[c] += other.values[c];
      squares[c] += other.squares[c];
    }
    pixels += other.pixels;
  }
};

/// What reading a split gave: a hash per sample, and which samples could not be read.
struct Readings {
  std::vector<std::uint64_t> hashes;
  std::vector<char> failed;
  std::vector<std::int64_t> by_hash;  // samples that were read, by (hash, index)
  PixelSums sums;
};

Readings read_all(const Dataset& dataset, const ValidateOptions& options) {
  const auto samples = static_cast<std::size_t>(dataset.size());
  Readings readings{std::vector<std::uint64_t>(samples), std::vector<char>(samples), {}, {}};
  tbb::enumerable_thread_specific<PixelSums> sums;
  tbb::enumerable_thread_specific<Image> images;
  const auto read_range = [&](const tbb::blocked_range<std::size_t>& range) {
    for (std::size_t i = range.begin(); i != range.end(); ++i) {
      try {
        const std::vector<std::uint8_t> bytes = dataset.encoded(static_cast<std::int64_t>(i));
        readings.hashes[i] = hash64(std::as_bytes(std::span(bytes)));
        if (!options.decode) continue;
        dataset.decode(bytes, images.local());
        sums.local().add(images.local());
      } catch (const Error&) {
        readings.failed[i] = 1;
      }
    }
  };
  tbb::task_arena(std::max(1, options.threads)).execute([&] {
    tbb::parallel_for(tbb::blocked_range<std::size_t>(0, samples), read_range);
  });
  for (const PixelSums& part : sums) readings.sums.add(part);
  for (std::size_t i = 0; i < samples; ++i) {
    if (!readings.failed[i]) readings.by_hash.push_back(static_cast<std::int64_t>(i));
  }
  const auto hash_of = [&](std::int64_t i) { return readings.hashes[static_cast<std::size_t>(i)]; };
  std::stable_sort(readings.by_hash.begin(), readings.by_hash.end(),
                   [&](std::int64_t a, std::int64_t b) { return hash_of(a) < hash_of(b); });
  return readings;
}

/// One finding per kind: how many, and where the first ones are.
struct Finding {
  std::int64_t count = 0;
  std::vector<std::string> examples;

  void add(const ValidateOptions& options, const std::string& example) {
    if (count++ < options.examples) examples.push_back(example);
  }
  void report(const std::string& what, std::vector<std::string>& to) const {
    if (count == 0) return;
    std::string text = std::to_string(count) + " " + what;
    for (std::size_t i = 0; i < examples.size(); ++i) text += (i == 0 ? ": " : "; ") + examples[i];
    if (count > static_cast<std::int64_t>(examples.size())) text += "; ...";
    to.push_back(text);
  }
};

void check_labels(const Dataset& dataset, const std::string& name, const ValidateOptions& options,
                  SplitReport& split, DatasetReport& report) {
  const int classes = dataset.info().classes;
  split.samples = dataset.size();
  split.class_counts.assign(static_cast<std::size_t>(std::max(0, classes)), 0);
  if (split.samples == 0) report.errors.push_back(name + " has no samples");
  Finding bad;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    const int label = dataset.label(i);
    if (label >= 0 && label < classes) {
      ++split.class_counts[static_cast<std::size_t>(label)];
    } else {
      bad.add(options, dataset.where(i) + " (label " + std::to_string(label) + ")");
    }
  }
  split.bad_labels = bad.count;
  bad.report(name + " labels are outside 0 to " + std::to_string(classes - 1), report.errors);
}

std::string class_name(std::size_t number, std::span<const std::string> names) {
  return number < names.size() ? names[number] : "class " + std::to_string(number);
}

void check_balance(const Dataset& dataset, const std::string& name, const SplitReport& split,
                   const ValidateOptions& options, DatasetReport& report) {
  if (split.samples == 0 || dataset.info().masks) return;
  for (const std::string& warning :
       class_warnings(split.class_counts, dataset.info().class_names, options.balance))
    report.warnings.push_back(name + ": " + warning);
}

void check_readable(const Dataset& dataset, const std::string& name, const Readings& readings,
                    const ValidateOptions& options, SplitReport& split, DatasetReport& report) {
  Finding failed;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    if (!readings.failed[static_cast<std::size_t>(i)]) continue;
    std::string reason = dataset.where(i) + ": cannot be read";
    if (failed.count < options.examples) {  // once more, for the reason
      try {
        Image image;
        dataset.read(i, image);
      } catch (const Error& error) {
        reason = error.what();
      }
    }
    failed.add(options, reason);
  }
  split.unreadable = failed.count;
  failed.report(name + " samples cannot be read", report.errors);
}

void check_duplicates(const Dataset& dataset, const std::string& name, const Readings& readings,
                      const ValidateOptions& options, SplitReport& split, DatasetReport& report) {
  Finding same;
  Finding conflicting;
  const std::vector<std::int64_t>& order = readings.by_hash;
  for (std::size_t first = 0, i = 1; i < order.size(); ++i) {
    const std::int64_t a = order[first];
    const std::int64_t b = order[i];
    if (readings.hashes[static_cast<std::size_t>(a)] !=
        readings.hashes[static_cast<std::size_t>(b)]) {
      first = i;
      continue;
    }
    if (dataset.encoded(a) != dataset.encoded(b)) continue;
    const std::string pair = dataset.where(a) + " = " + dataset.where(b);
    same.add(options, pair);
    if (dataset.label(a) != dataset.label(b)) conflicting.add(options, pair);
  }
  split.duplicates = same.count;
  split.conflicting = conflicting.count;
  same.report(name + " samples occur again", report.warnings);
  conflicting.report(name + " samples occur again with another label", report.warnings);
}

void check_leakage(const Dataset& train, const Readings& train_readings, const Dataset& val,
                   const Readings& val_readings, const ValidateOptions& options,
                   DatasetReport& report) {
  Finding leaked;
  const auto hash_of = [&](std::int64_t i) {
    return train_readings.hashes[static_cast<std::size_t>(i)];
  };
  const std::vector<std::int64_t>& order = train_readings.by_hash;
  for (std::int64_t i = 0; i < val.size(); ++i) {
    if (val_readings.failed[static_cast<std::size_t>(i)]) continue;
    const std::uint64_t hash = val_readings.hashes[static_cast<std::size_t>(i)];
    const auto found =
        std::lower_bound(order.begin(), order.end(), hash,
                         [&](std::int64_t a, std::uint64_t wanted) { return hash_of(a) < wanted; });
    if (found == order.end() || hash_of(*found) != hash) continue;
    if (train.encoded(*found) == val.encoded(i)) {
      leaked.add(options, val.where(i) + " = " + train.where(*found));
    }
  }
  report.leaked = leaked.count;
  if (leaked.count <= options.max_leaked) return;
  leaked.report("validation samples occur in training, " + std::to_string(options.max_leaked) +
                    " may; take them out of one of the two, or scores are too good (leakage)",
                report.errors);
}

void check_agreement(const DatasetInfo& train, const DatasetInfo& val, DatasetReport& report) {
  const auto compare = [&](const char* what, int a, int b) {
    if (a == b) return;
    report.errors.push_back(std::string("training has ") + std::to_string(a) + " " + what +
                            ", validation " + std::to_string(b));
  };
  compare("classes", train.classes, val.classes);
  compare("channels", train.channels, val.channels);
  if (train.class_names != val.class_names) {
    report.errors.push_back("training and validation name their classes differently");
  }
}

void take_moments(const PixelSums& sums, SplitReport& split) {
  if (sums.pixels == 0) return;
  const auto pixels = static_cast<double>(sums.pixels);
  for (std::size_t c = 0; c < sums.channels; ++c) {
    const double mean = static_cast<double>(sums.values[c]) / pixels;
    const double variance = static_cast<double>(sums.squares[c]) / pixels - mean * mean;
    split.mean.push_back(mean / 255);
    split.std.push_back(std::sqrt(std::max(0.0, variance)) / 255);
  }
}

Readings check_split(const Dataset& dataset, const std::string& name,
                     const ValidateOptions& options, SplitReport& split, DatasetReport& report) {
  for (const std::string& warning : dataset.info().warnings)
    report.warnings.push_back(name + ": " + warning);
  check_labels(dataset, name, options, split, report);
  check_balance(dataset, name, split, options, report);
  if (!options.read && !options.decode) return {};
  Readings readings = read_all(dataset, options);
  check_readable(dataset, name, readings, options, split, report);
  check_duplicates(dataset, name, readings, options, split, report);
  take_moments(readings.sums, split);
  return readings;
}

}  // namespace

DatasetReport validate(const Dataset& train, const Dataset* val, const ValidateOptions& options) {
  DatasetReport report;
  const Readings of_train = check_split(train, "training", options, report.train, report);
  if (val == nullptr) return report;
  check_agreement(train.info(), val->info(), report);
  const Readings of_val = check_split(*val, "validation", options, report.val, report);
  if (options.read || options.decode) {
    check_leakage(train, of_train, *val, of_val, options, report);
  }
  return report;
}

std::vector<std::string> class_warnings(std::span<const std::int64_t> counts,
                                        std::span<const std::string> names,
                                        const BalanceLimits& limits) {
  std::vector<std::string> found;
  const auto first_empty = std::find(counts.begin(), counts.end(), 0);
  if (first_empty != counts.end())
    found.push_back(std::to_string(std::count(counts.begin(), counts.end(), 0)) +
                    " classes have no sample, e.g. " +
                    class_name(static_cast<std::size_t>(first_empty - counts.begin()), names));
  if (std::string uneven = uneven_classes(counts, names, limits); !uneven.empty())
    found.push_back(std::move(uneven));
  return found;
}

std::string uneven_classes(std::span<const std::int64_t> counts, std::span<const std::string> names,
                           const BalanceLimits& limits) {
  std::size_t largest = 0, smallest = counts.size();
  std::int64_t all = 0;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    all += counts[c];
    if (counts[c] > counts[largest]) largest = c;
    if (counts[c] > 0 && (smallest == counts.size() || counts[c] < counts[smallest])) smallest = c;
  }
  if (all == 0 || counts.size() < 2) return "";
  const double most = static_cast<double>(counts[largest]);
  const double share = most / static_cast<double>(all),
               ratio = most / static_cast<double>(counts[smallest]);
  if (share <= limits.max_share && ratio <= limits.max_ratio) return "";
  char limit[96];
  std::snprintf(limit, sizeof limit,
                share > limits.max_share ? "%.3g%% of all are in one class, %.3g%% may be"
                                         : "%.3g times as many, %.3g times may be",
                share > limits.max_share ? 100 * share : ratio,
                share > limits.max_share ? 100 * limits.max_share : limits.max_ratio);
  return "classes are uneven: " + std::to_string(counts[largest]) + " of " +
         class_name(largest, names) + ", " + std::to_string(counts[smallest]) + " of " +
         class_name(smallest, names) + " (" + limit + ")";
}

double class_skew(std::span<const std::int64_t> shard_counts,
                  std::span<const std::int64_t> whole_counts) {
  const auto sum = [](std::span<const std::int64_t> counts) {
    return static_cast<double>(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
  };
  const double shard = sum(shard_counts);
  const double whole = sum(whole_counts);
  if (shard == 0 || whole == 0) return 0;
  double distance = 0;
  for (std::size_t c = 0; c < shard_counts.size(); ++c) {
    distance += std::abs(static_cast<double>(shard_counts[c]) / shard -
                         static_cast<double>(whole_counts[c]) / whole);
  }
  return distance / 2;
}

}  // namespace lockstep
