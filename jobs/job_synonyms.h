#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "jobs/job_key.h"

namespace lockstep {

/// The key that people mean who know it by another program's name ("lr", "batch_size"); with or without a section.
/// Empty if the name is not known.
std::string meant_key(std::string_view name);

/// The keys that meant_key() leads to.
std::vector<std::string> keys_with_synonyms();

/// What to say of a key that other programs have and this one has not ("gpus", "betas"). Empty if the name is
/// not known.
std::string answer_to(std::string_view name);

/// The word that people mean who give a key another value, in quotes: by another name ("fp16"), or misspelt. Empty if
/// none is near, or the key's values are no words.
std::string meant_value(const JobKey& key, std::string_view value);

}  // namespace lockstep
