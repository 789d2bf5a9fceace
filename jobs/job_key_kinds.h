#pragma once
#include <algorithm>
#include <cmath>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "data/spelling.h"
#include "jobs/job_key.h"
#include "jobs/value_text.h"

namespace lockstep {

// What the lists of keys (job_key.cpp, job_key_model.cpp) are made of.

// The name of a key is the name of its field: one text gives both.
#define FIELD(path) \
#path, [](auto& job) -> auto& { return job.path; }

template <typename Field>
using ValueOf = std::remove_cvref_t<std::invoke_result_t<Field, Job&>>;

/// A key whose text is read as the field's type and kept if `accept(value)`.
template <typename Field, typename Accept>
JobKey make_key(std::string name, Field field, std::string help, std::string valid, Accept accept) {
  return {std::move(name), std::move(help), std::move(valid),
          [field](const Job& job) { return write_value(field(job)); },
          [field, accept](Job& job, std::string_view text) {
            ValueOf<Field> value{};
            if (!read_value(text, value) || !accept(value)) return false;
            field(job) = std::move(value);
            return true;
          }};
}

struct Bounds {
  double least;
  bool least_included = true;
  double most = HUGE_VAL;
  bool most_included = true;

  bool contain(double value) const {
    return std::isfinite(value) && (least_included ? value >= least : value > least) &&
           (most_included ? value <= most : value < most);
  }
  std::string describe() const {
    std::string text = (least_included ? "at least " : "above ") + write_value(least);
    if (most == HUGE_VAL) return text;
    return text + (most_included ? ", at most " : ", below ") + write_value(most);
  }
};

inline Bounds at_least(double least) { return {least}; }
inline Bounds above(double least) { return {least, false}; }
inline Bounds between(double least, double most) { return {least, true, most, true}; }
inline Bounds from_zero_below(double most) { return {0, true, most, false}; }
inline Bounds above_zero_to(double most) { return {0, false, most, true}; }

template <typename Field>
JobKey number(std::string name, Field field, Bounds bounds, std::string help) {
  const char* kind = std::is_integral_v<ValueOf<Field>> ? "an integer, " : "a number, ";
  return make_key(std::move(name), field, std::move(help), kind + bounds.describe(),
                  [bounds](auto value) { return bounds.contain(static_cast<double>(value)); });
}

template <typename Field>
JobKey numbers(std::string name, Field field, Bounds bounds, std::string help) {
  const char* kind =
      std::is_integral_v<typename ValueOf<Field>::value_type> ? "integers" : "numbers";
  return make_key(std::move(name), field, std::move(help),
                  std::string(kind) + " with commas between them, each " + bounds.describe(),
                  [bounds](const auto& values) {
                    return std::all_of(values.begin(), values.end(), [&](auto value) {
                      return bounds.contain(static_cast<double>(value));
                    });
                  });
}

template <typename Field>
JobKey flag(std::string name, Field field, std::string help) {
  return make_key(std::move(name), field, std::move(help), "true or false",
                  [](bool) { return true; });
}

template <typename Field>
JobKey word(std::string name, Field field, std::vector<std::string> words, std::string help) {
  JobKey key = make_key(std::move(name), field, std::move(help), join_words(words),
                        [words](const std::string& value) {
                          return std::find(words.begin(), words.end(), value) != words.end();
                        });
  key.words = std::move(words);
  return key;
}

/// An enum; `table` has its words, by kind.
template <typename Field, std::size_t kWords>
JobKey enum_word(std::string name, Field field, const char* const (&table)[kWords],
                 std::string help) {
  std::vector<std::string> words(std::begin(table), std::end(table));
  JobKey key{.name = std::move(name), .help = std::move(help), .valid = join_words(words)};
  key.get = [field, words](const Job& job) { return words[static_cast<std::size_t>(field(job))]; };
  key.set = [field, words](Job& job, std::string_view text) {
    const auto found = std::find(words.begin(), words.end(), text);
    if (found == words.end()) return false;
    field(job) = static_cast<ValueOf<Field>>(found - words.begin());
    return true;
  };
  key.words = std::move(words);
  return key;
}

/// A key that means something to one optimizer alone.
inline JobKey of(OptimizerKind optimizer, JobKey key) {
  key.of_optimizer = optimizer;
  return key;
}

template <typename Field, typename Accept>
JobKey text(std::string name, Field field, std::string valid, Accept accept, std::string help) {
  return make_key(std::move(name), field, std::move(help), std::move(valid), accept);
}

/// A text that is a path (jobs/job_path.h).
template <typename Field, typename Accept>
JobKey path(std::string name, Field field, std::string valid, Accept accept, std::string help) {
  JobKey key = text(std::move(name), field, std::move(valid), accept, std::move(help));
  key.is_path = true;
  return key;
}

template <typename Field>
JobKey texts(std::string name, Field field, std::string valid, std::string help) {
  return make_key(std::move(name), field, std::move(help), std::move(valid),
                  [](const std::vector<std::string>& values) {
                    return std::ranges::none_of(values, &std::string::empty);
                  });
}

/// Those of section [model].
std::vector<JobKey> model_keys();

}  // namespace lockstep
