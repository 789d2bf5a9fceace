#include "data/packed_seal.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "data/error.h"

namespace lockstep {
namespace {

constexpr std::string_view kMagic = "lockstep packed dataset\n";
constexpr int kVersion = 2;
constexpr std::size_t kHashDigits = 32;
constexpr std::size_t kTextBytes = kSealBytes - kHashDigits;

[[noreturn]] void fail(const OpenFile& file, const std::string& what) {
  throw DataError(file.path().string() + ": " + what);
}

void hash_part(const OpenFile& file, std::uint64_t begin, std::uint64_t end, Hash128& hash) {
  std::vector<std::byte> buffer(std::clamp<std::uint64_t>(end - begin, 1, 1 << 20));
  while (begin < end) {
    const auto wanted = std::min<std::uint64_t>(end - begin, buffer.size());
    const std::size_t count = file.read_at(begin, std::span(buffer).first(wanted));
    if (count == 0) fail(file, "ends at byte " + std::to_string(begin) + ": cut short");
    hash.update(std::span(buffer).first(count));
    begin += count;
  }
}

/// Of all bytes behind the seal but the samples.
std::string hash_around(const OpenFile& file, std::uint64_t bytes,
                        std::vector<SampleRange> samples) {
  std::sort(samples.begin(), samples.end(),
            [](const SampleRange& a, const SampleRange& b) { return a.begin < b.begin; });
  Hash128 hash;
  std::uint64_t position = kSealBytes;
  for (const SampleRange& range : samples) {
    if (range.begin < position || range.begin > bytes || range.bytes > bytes - range.begin) {
      fail(file, "its seal tells of samples at bytes where they cannot be");
    }
    hash_part(file, position, range.begin, hash);
    position = range.begin + range.bytes;
  }
  hash_part(file, position, bytes, hash);
  return hash.hex();
}

}  // namespace

void write_seal(OpenFile& file, const std::vector<SampleRange>& samples) {
  nlohmann::ordered_json json;
  json["version"] = kVersion;
  json["bytes"] = file.bytes();
  json["samples"] = nlohmann::ordered_json::array();
  for (const SampleRange& range : samples) json["samples"].push_back({range.begin, range.bytes});
  json["xxh3_128"] = hash_around(file, file.bytes(), samples);
  std::string text = std::string(kMagic) + json.dump() + "\n";
  if (text.size() > kTextBytes) throw InternalError("packed dataset: the seal is too long");
  text.resize(kTextBytes, ' ');
  text += hash128(text);
  file.write_at(0, std::as_bytes(std::span(text)));
}

void check_seal(const OpenFile& file) {
  std::string text(kSealBytes, '\0');
  if (file.read_at(0, std::as_writable_bytes(std::span(text))) != kSealBytes ||
      !text.starts_with(kMagic)) {
    fail(file, "is no packed dataset; `lockstep data pack` makes one");
  }
  const std::string hash = text.substr(kTextBytes);
  text.resize(kTextBytes);
  if (hash != hash128(text)) fail(file, "its first 512 bytes do not match their hash: damaged");
  try {
    const auto json = nlohmann::json::parse(text.substr(kMagic.size()));
    if (json.at("version") != kVersion) {
      fail(file, "packed format version " + json.at("version").dump() +
                     ", but this program reads version " + std::to_string(kVersion));
    }
    const auto bytes = json.at("bytes").get<std::uint64_t>();
    if (file.bytes() != bytes) {
      fail(file, "has " + std::to_string(file.bytes()) + " bytes, but was written with " +
                     std::to_string(bytes));
    }
    std::vector<SampleRange> samples;
    for (const auto& range : json.at("samples")) {
      samples.push_back({range.at(0).get<std::uint64_t>(), range.at(1).get<std::uint64_t>()});
    }
    if (hash_around(file, bytes, samples) != json.at("xxh3_128")) {
      fail(file, "its tables do not match their hash: damaged; pack or copy it again");
    }
  } catch (const nlohmann::json::exception& error) {
    fail(file, std::string("its seal cannot be understood: ") + error.what());
  }
}

}  // namespace lockstep
