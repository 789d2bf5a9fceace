#include <xxhash.h>

#include <algorithm>
#include <new>
#include <vector>

#include "data/files.h"

namespace lockstep {
namespace {

std::string to_hex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : canonical.digest) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

struct Hash128::State {
  State() : xxh3(XXH3_createState()) {
    if (xxh3 == nullptr) throw std::bad_alloc();
    XXH3_128bits_reset(xxh3);
  }
  ~State() { XXH3_freeState(xxh3); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  XXH3_state_t* xxh3;
};

Hash128::Hash128() : state_(std::make_unique<State>()) {}
Hash128::Hash128(Hash128&&) noexcept = default;
Hash128& Hash128::operator=(Hash128&&) noexcept = default;
Hash128::~Hash128() = default;

void Hash128::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_->xxh3, bytes.data(), bytes.size());
}

std::string Hash128::hex() const { return to_hex(XXH3_128bits_digest(state_->xxh3)); }

std::string hash128(std::span<const std::byte> bytes) {
  return to_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string hash128(std::string_view text) { return hash128(std::as_bytes(std::span(text))); }

std::uint64_t hash64(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

FileHash hash_file(const std::filesystem::path& path) {
  const OpenFile file = OpenFile::for_reading(path);
  Hash128 hash;
  FileHash result;
  std::vector<std::byte> buffer(std::clamp<std::uint64_t>(file.bytes(), 1, 1 << 20));
  while (const std::size_t count = file.read_at(result.bytes, buffer)) {
    hash.update(std::span(buffer).first(count));
    result.bytes += count;
  }
  result.xxh3_128 = hash.hex();
  return result;
}

}  // namespace lockstep
