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

/// What validate() found, for people.
std::string report_text(const DatasetReport& report, const Dataset& train, const Dataset* val);

}  // namespace lockstep
