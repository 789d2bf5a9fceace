#pragma once
#include <cstdint>
#include <span>
#include <string>

#include "data/dataset.h"
#include "data/fingerprint.h"
#include "data/validate.h"

namespace lockstep {

/// Sources that have files, for helps.
inline constexpr const char* kFileSources = "idx, cifar10, cifar100, folder, masks or packed";

/// One split: source, sizes, and the table of its classes.
std::string dataset_text(const Dataset& dataset);

/// "cifar10, 60 samples, 10 classes; labels 1f3a..., content ..., all content ...": hashes by their first digits.
std::string fingerprint_text(const DataFingerprint& fingerprint);

/// The same of every split in a data record (coordinator/data_record.h), a line each that begins with `indent`.
std::string data_record_text(const std::string& record, const std::string& indent);

/// Samples of each class, with their part of all; `names` may be empty.
std::string class_table(std::span<const std::int64_t> counts, std::span<const std::string> names);

/// Whether a data set may be used after what validate() found. `strict`: warnings count as errors.
bool is_usable(const DatasetReport& report, bool strict);

/// What validate() found, for people; its last line is the verdict.
std::string report_text(const DatasetReport& report, const Dataset& train, const Dataset* val,
                        bool strict = false);

}  // namespace lockstep
