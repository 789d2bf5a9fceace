#pragma once
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "coordinator/job.h"

namespace lockstep {

/// Reads a job file: INI sections, `key = value`, comments after '#'. What it does not say keeps
/// its default. Then applies `overrides` ("section.key=value", in their order), and checks all that
/// can be checked without the data.
/// @throws ConfigError naming file, line (or the override), key, value and what is valid;
///         MissingFileError, IoError.
Job load_job(const std::filesystem::path& file, std::span<const std::string> overrides = {});

/// The same from text; `name` stands for the file in messages.
Job parse_job(const std::string& text, const std::string& name,
              std::span<const std::string> overrides = {});

/// A job, and which of its keys were said rather than left at their defaults.
struct SaidJob {
  Job job;
  std::map<std::string, std::string> places;  // key -> where it was said: "FILE:LINE" or "--set"
};

/// As load_job and parse_job.
SaidJob load_said_job(const std::filesystem::path& file,
                      std::span<const std::string> overrides = {});
SaidJob parse_said_job(const std::string& text, const std::string& name,
                       std::span<const std::string> overrides = {});

/// The whole job as a job file, every key that means something in it with its value: reads back as the same job.
std::string to_ini(const Job& job);

/// to_ini of the defaults, with what every key means and what is valid: --help-job.
std::string describe_job_keys();

}  // namespace lockstep
