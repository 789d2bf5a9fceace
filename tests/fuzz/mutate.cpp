#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "data/random.h"

namespace lockstep::fuzz {
namespace {

/// A file that is being changed, and what may go into it.
struct Site {
  std::string& file;
  const std::string& other;  // to take pieces of
  const Vocabulary& vocabulary;
  Random& random;

  /// Where something may be changed: anywhere, at the start, or near a signature. The file is not
  /// empty.
  std::size_t position() {
    constexpr std::size_t kNear = 64;
    const std::size_t kind = random.below(4);
    if (kind == 0) return random.below(std::min(file.size(), kNear));
    if (kind == 1 && !vocabulary.marks.empty()) {
      const std::string& mark = vocabulary.marks[random.below(vocabulary.marks.size())];
      const std::size_t at = file.find(mark, random.below(file.size()));
      if (at != std::string::npos) return at + random.below(std::min(file.size() - at, kNear));
    }
    return random.below(file.size());
  }

  /// Mostly short.
  std::size_t length(std::size_t most) {
    if (most == 0) return 0;
    return random.chance(4) ? random.below(most + 1)
                            : random.below(std::min<std::size_t>(most, 32) + 1);
  }

  std::string piece(const std::string& from) {
    if (from.empty()) return {};
    const std::size_t at = random.below(from.size());
    return from.substr(at, length(from.size() - at));
  }
};

std::uint64_t extreme(Site& site, std::size_t bytes) {
  const std::uint64_t all = bytes == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * bytes)) - 1;
  const std::uint64_t values[] = {0,
                                  1,
                                  all,
                                  all - 1,
                                  all >> 1,
                                  all / 2 + 1,
                                  1u << 7,
                                  1u << 15,
                                  1u << 16,
                                  1u << 24,
                                  1u << 30,
                                  1u << 31,
                                  all >> 8,
                                  all >> 16,
                                  site.file.size(),
                                  site.file.size() + 1,
                                  site.file.size() - 1};
  return values[site.random.below(std::size(values))] & all;
}

/// 2, 4 or 8 bytes as a number of either byte order.
template <class Change>
void change_field(Site& site, Change change) {
  const std::size_t bytes = std::size_t{2} << site.random.below(3);
  if (site.file.size() < bytes) return;
  std::size_t at = std::min(site.position(), site.file.size() - bytes);
  if (!site.random.chance(4)) at -= at % bytes;  // most formats align
  const bool big = site.random.chance(2);
  const auto place = [&](std::size_t i) { return at + (big ? bytes - 1 - i : i); };
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(site.file[place(i)])} << (8 * i);
  }
  value = change(value, bytes);
  for (std::size_t i = 0; i < bytes; ++i) {
    site.file[place(i)] = static_cast<char>(value >> (8 * i));
  }
}

void flip_bit(Site& site) {
  site.file[site.position()] ^= static_cast<char>(1 << site.random.below(8));
}

void set_byte(Site& site) { site.file[site.position()] = static_cast<char>(site.random.bits()); }

void set_field(Site& site) {
  change_field(site, [&](std::uint64_t, std::size_t bytes) { return extreme(site, bytes); });
}

void add_to_field(Site& site) {
  const std::uint64_t by = site.random.below(33) - 16;
  change_field(site, [&](std::uint64_t value, std::size_t) { return value + by; });
}

void cut_off(Site& site) { site.file.resize(site.random.below(site.file.size())); }

void leave_out(Site& site) {
  const std::size_t at = site.position();
  site.file.erase(at, site.length(site.file.size() - at));
}

void put_in(Site& site) {
  const std::string piece = site.piece(site.random.chance(2) ? site.file : site.other);
  site.file.insert(site.position(), piece);
}

void write_over(Site& site) {
  const std::string piece = site.piece(site.random.chance(2) ? site.file : site.other);
  const std::size_t at = site.position();
  site.file.replace(at, std::min(piece.size(), site.file.size() - at), piece);
}

void fill(Site& site) {
  const std::size_t at = site.position();
  const char values[] = {'\0', '\xff', '\x7f', '\x80', ' ', '\n'};
  const std::size_t count = site.length(site.file.size() - at);
  site.file.replace(at, count, count, values[site.random.below(std::size(values))]);
}

void put_word(Site& site) {
  const auto& words = site.vocabulary.words;
  if (words.empty()) return flip_bit(site);
  const std::string& word = words[site.random.below(words.size())];
  const std::size_t at = site.position();
  const bool over = site.random.chance(2);
  site.file.replace(at, over ? std::min(word.size(), site.file.size() - at) : 0, word);
}

/// A run of digits becomes another number.
void change_number(Site& site) {
  static constexpr std::array kNumbers = {
      "0",  "-1",   "1",          "2147483647", "2147483648",           "4294967296",
      "-0", "1e30", "1e999",      "0.5",        "9223372036854775807",  "9223372036854775808",
      "65", "256",  "1000000007", "nan",        "18446744073709551615", "99999999999999999999"};
  const auto digit = [](char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; };
  const auto begin = std::find_if(
      site.file.begin() + static_cast<std::ptrdiff_t>(site.random.below(site.file.size())),
      site.file.end(), digit);
  const auto end = std::find_if_not(begin, site.file.end(), digit);
  site.file.replace(begin, end, kNumbers[site.random.below(kNumbers.size())]);
}

/// A line is doubled, left out, or taken from the other file.
void change_line(Site& site) {
  const auto line_at = [](const std::string& text, std::size_t at) {
    const std::size_t before = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    const std::size_t begin = before == std::string::npos ? 0 : before + 1;
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    return std::pair(begin, end - begin);
  };
  const auto [begin, count] = line_at(site.file, site.random.below(site.file.size()));
  if (count > 400 || site.random.chance(3)) {  // no text, it seems
    site.file.erase(begin, std::min<std::size_t>(count, 400));
    return;
  }
  const std::string& from = site.other.empty() || site.random.chance(2) ? site.file : site.other;
  const auto [taken, length] = line_at(from, site.random.below(from.size()));
  site.file.insert(begin, from.substr(taken, std::min<std::size_t>(length, 400)));
}

using Operation = void (*)(Site&);
constexpr Operation kOperations[] = {
    flip_bit,     flip_bit, set_byte,      set_field,     set_field,  set_field,
    add_to_field, cut_off,  leave_out,     put_in,        write_over, fill,
    put_word,     put_word, change_number, change_number, change_line};
constexpr std::size_t kMostBytes = 1 << 20;  // of a file: it may not grow on and on

}  // namespace

std::uint64_t Random::bits() {
  const PhiloxCounter bits =
      philox({draw_++, number_, stream_, 0},
             {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)});
  return (std::uint64_t{bits[0]} << 32) | bits[1];
}

std::size_t Random::below(std::size_t n) {
  const std::uint64_t drawn = bits();
  return integer_below(static_cast<std::uint32_t>(drawn >> 32), static_cast<std::uint32_t>(drawn),
                       n);
}

void mutate(Input& input, std::span<const Input> others, const Vocabulary& vocabulary,
            Random& random) {
  std::size_t changes = 1;
  while (changes < 8 && random.chance(2)) ++changes;
  for (; changes > 0; --changes) {
    std::string& file = input.files[random.below(input.files.size())];
    const Input& other = others[random.below(others.size())];
    const std::string& from = other.files[random.below(other.files.size())];
    if (file.empty() || random.chance(32)) {
      file = from;
      continue;
    }
    Site site{file, from, vocabulary, random};
    kOperations[random.below(std::size(kOperations))](site);
    if (file.size() > kMostBytes) file.resize(kMostBytes);
  }
}

}  // namespace lockstep::fuzz
