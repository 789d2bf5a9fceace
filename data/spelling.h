#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

/// How many letters must be inserted, removed, replaced or swapped with their neighbour to turn one
/// word into the other.
int edit_distance(std::string_view a, std::string_view b);

/// The word of `words` that is most like `word`; the first of several. Empty if there are no words.
std::string nearest_word(std::string_view word, const std::vector<std::string>& words);

/// "a, b or c".
std::string join_words(const std::vector<std::string>& words);

}  // namespace lockstep
