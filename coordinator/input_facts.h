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
  int classes = 0;                       // 0: not known
};

/// The job, as a job file, with augment.mean and augment.std filled in where they are empty, below
/// comments that say so and have the names of the classes.
std::string with_input_facts(const std::string& job_text, const InputFacts& facts);

/// Whether with_input_facts() has filled in mean and std, by the text that it gave.
bool has_filled_in(const std::string& job_text);

/// TrainingState::details and the facts: input, mean, std, resize, class_names, classes.
std::string details_with_input_facts(const std::string& details, const InputFacts& facts);

/// What details tell of them; what they do not tell stays as it is by default.
InputFacts input_facts_of(const std::string& details);

/// In what the data's classes are others than those of a checkpoint, as a sentence; "": in nothing that is known.
/// `classes` and `class_names` are the data's.
std::string class_change(const InputFacts& checkpoint, int classes,
                         const std::vector<std::string>& class_names);

}  // namespace lockstep
