#pragma once
#include <string>
#include <vector>

#include "layers/shape.h"

namespace lockstep {

/// What one must know of the network's input and output to use the weights.
struct InputFacts {
  Shape input;                           // of the network
  std::vector<float> mean, std;          // of pixels in [0,1]: one per channel, or one for all
  int resize = 0;                        // shorter side before the centre crop; 0: none
  std::vector<std::string> class_names;  // by label; empty: the data has none
};

/// The job, as a job file, with augment.mean and augment.std filled in where they are empty, below
/// a comment with the names of the classes.
std::string with_input_facts(const std::string& job_text, const InputFacts& facts);

/// TrainingState::details and the facts: input, mean, std, resize, class_names.
std::string details_with_input_facts(const std::string& details, const InputFacts& facts);

}  // namespace lockstep
