#include "jobs/launcher_words.h"

#include <algorithm>
#include <utility>

namespace lockstep {
namespace {

constexpr std::size_t kLongestBox = 8192;  // what is longer is none

constexpr std::string_view kBlank("\0 ", 2);  // mpirun ends its words with a NUL

std::string_view without_blank(std::string_view line) {
  return line.substr(std::min(line.find_first_not_of(kBlank), line.size()));
}

/// Whether a line that begins so may become the edge of a box: a line of dashes, perhaps with a blank before it.
bool may_be_edge(std::string_view begun) {
  return without_blank(begun).find_first_not_of('-') == std::string_view::npos;
}

bool is_edge(std::string_view line) {
  constexpr std::size_t kLeast = 60;
  return may_be_edge(line) && without_blank(line).size() >= kLeast;
}

/// The rank itself has said why, or ended as it should.
bool says_nothing_new(const std::string& box) {
  const auto has = [&](const char* words) { return box.find(words) != std::string::npos; };
  return has("MPI_ABORT was invoked") ||
         (has("prterun has exited due to process rank") && has("\"abort\"")) ||
         has("processes exited with non-zero status");
}

}  // namespace

void LauncherWords::end_line(std::string& shown) {
  const bool edge = is_edge(line_);
  if (in_box_ || edge) {
    box_ += line_ + "\n";
    if (edge && in_box_) {
      if (!says_nothing_new(box_)) shown += box_;
      box_.clear();
    }
    in_box_ = in_box_ != edge;
    if (box_.size() > kLongestBox) {
      shown += std::exchange(box_, {});
      in_box_ = false;
    }
  } else {
    shown += line_ + "\n";
  }
  line_.clear();
}

std::string LauncherWords::pass(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (plain_) {
      shown += c;
      plain_ = c != '\n';
    } else if (c == '\n') {
      end_line(shown);
    } else {
      line_ += c;
      if (in_box_ || may_be_edge(line_)) continue;
      shown += std::exchange(line_, {});
      plain_ = true;
    }
  }
  return shown;
}

std::string LauncherWords::rest() {
  in_box_ = plain_ = false;
  if (without_blank(line_).empty()) line_.clear();
  return std::exchange(box_, {}) + std::exchange(line_, {});
}

}  // namespace lockstep
