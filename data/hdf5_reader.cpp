#include "data/hdf5_reader.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

namespace lockstep::hdf5 {
namespace {

static_assert(std::endian::native == std::endian::little,
              "values are read as they lie in the file");

constexpr std::uint64_t kUndefined = ~std::uint64_t{0};  // an address that leads nowhere
constexpr std::size_t kSuperblockBytes = 96;
constexpr std::uint64_t kUserBlocks[] = {0, 512};            // where the superblock may begin
constexpr std::size_t kMostChildren = 32, kMostSymbols = 8;  // of a tree's node; HDF5's defaults
constexpr std::size_t kMostHeaderBytes = 1 << 16, kMostHeaderParts = 8;
constexpr std::size_t kMostNameBytes = 1024;
constexpr int kMostLevels = 8;   // of a tree: 32^8 names
constexpr int kMostGroups = 16;  // inside one another

/// Object header messages.
enum MessageType : std::uint64_t {
  kDataspace = 0x01,
  kLinkInfo = 0x02,
  kDatatype = 0x03,
  kLink = 0x06,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0B,
  kContinuation = 0x10,
  kSymbolTable = 0x11,
};

/// Bytes of the file; numbers are read only within them.
class Block {
 public:
  Block(std::vector<std::byte> bytes, std::string where)
      : bytes_(std::move(bytes)), where_(std::move(where)) {}

  std::size_t size() const { return bytes_.size(); }
  std::span<const std::byte> part(std::size_t offset, std::size_t bytes) const {
    if (offset > size() || bytes > size() - offset) throw FormatError(where_ + ": is cut short");
    return std::span(bytes_).subspan(offset, bytes);
  }
  std::uint64_t number(std::size_t offset, std::size_t bytes) const {
    std::uint64_t value = 0;
    std::memcpy(&value, part(offset, bytes).data(), bytes);
    return value;
  }
  bool has(std::size_t offset, std::string_view text) const {
    return offset + text.size() <= size() &&
           std::memcmp(bytes_.data() + offset, text.data(), text.size()) == 0;
  }

 private:
  std::vector<std::byte> bytes_;
  std::string where_;
};

struct Message {
  std::uint64_t type;
  Block body;
};

struct Object {
  std::vector<Message> messages;

  const Block* find(MessageType type) const {
    for (const Message& message : messages) {
      if (message.type == type) return &message.body;
    }
    return nullptr;
  }
};

/// How HDF5 describes the types of ours.
std::optional<ElementType> type_of(const Block& body) {
  using namespace std::string_view_literals;
  if (body.has(0, "\x11\x20\x1f\0\4\0\0\0\0\0\x20\0\x17\x08\0\x17\x7f\0\0\0"sv))
    return ElementType::kFloat32;
  if (body.has(0, "\x10\0\0\0\1\0\0\0\0\0\x08\0"sv)) return ElementType::kUint8;
  if (body.has(0, "\x10\x08\0\0\4\0\0\0\0\0\x20\0"sv)) return ElementType::kInt32;
  if (body.has(0, "\x10\0\0\0\x08\0\0\0\0\0\x40\0"sv)) return ElementType::kUint64;
  return std::nullopt;
}

std::vector<std::int64_t> dims_of(const Block& body, const std::string& at) {
  const std::uint64_t version = body.number(0, 1), rank = body.number(1, 1);
  if (version != 1) throw FormatError(at + ": has no simple extent");
  std::vector<std::int64_t> dims;
  for (std::size_t d = 0; d < rank; ++d) {
    dims.push_back(static_cast<std::int64_t>(body.number(8 + 8 * d, 8)));
  }
  const bool has_most = (body.number(2, 1) & 1) != 0;
  for (std::size_t d = 0; has_most && d < rank; ++d) {
    if (static_cast<std::int64_t>(body.number(8 + 8 * (rank + d), 8)) != dims[d]) {
      throw FormatError(at + ": can grow; expected fixed dims");
    }
  }
  return dims;
}

/// Follows every link from the root. No object and no node is visited twice, so this ends.
class Walk {
 public:
  Walk(const OpenFile& file, std::map<std::string, StoredDataset>& datasets)
      : file_(file), file_bytes_(file.bytes()), path_(file.path().string()), datasets_(datasets) {}

  void run() {
    for (const std::uint64_t base : kUserBlocks) {
      base_ = base;
      if (file_bytes_ < base + kSuperblockBytes) break;
      const Block block = read(0, kSuperblockBytes, path_);
      if (!block.has(0, "\x89HDF\r\n\x1a\n")) continue;
      check_superblock(block);
      enter(block.number(64, 8), "", 0);
      return;
    }
    throw FormatError(path_ + ": is no HDF5 file, or cut short");
  }

 private:
  Block read(std::uint64_t address, std::size_t bytes, const std::string& at) {
    spent_ += bytes;  // pieces may overlap, but not without end
    if (spent_ > 16 * file_bytes_ + (1 << 20)) throw FormatError(at + ": is one of too many links");
    if (address > file_bytes_ - base_ || bytes > file_bytes_ - base_ - address) {
      throw FormatError(at + ": leads to byte " + std::to_string(address) + ", behind the end");
    }
    std::vector<std::byte> block(bytes);
    if (file_.read_at(base_ + address, block) != bytes) throw FormatError(at + ": is cut short");
    return {std::move(block), at};
  }

  void check_superblock(const Block& block) const {
    const bool ours = block.number(8, 1) == 0 && block.number(13, 1) == 8 &&
                      block.number(14, 1) == 8 && 2 * block.number(16, 2) == kMostSymbols &&
                      2 * block.number(18, 2) == kMostChildren && block.number(24, 8) == base_;
    if (!ours)
      throw FormatError(path_ + ": its HDF5 superblock is of a kind that lockstep never writes");
  }

  void visit(std::uint64_t address, const std::string& at) {
    if (!visited_.insert(address).second) {
      throw FormatError(at + ": is reached by two links; lockstep never writes that");
    }
  }

  /// The object that `name` leads to. "" is the root.
  void enter(std::uint64_t address, const std::string& name, int groups) {
    const std::string at = name.empty() ? path_ : path_ + ": " + name;
    visit(address, at);
    const Object object = read_object(address, at);
    if (const Block* table = object.find(kSymbolTable)) {
      if (groups == kMostGroups) throw FormatError(at + ": groups inside one another too deep");
      enter_group(*table, name, at, groups);
    } else if (object.find(kLayout)) {
      datasets_[name] = describe(object, at);
    } else if (object.find(kLinkInfo) || object.find(kLink)) {
      throw FormatError(
          at + ": has links of a kind that lockstep never writes (external, user-defined)");
    } else {
      throw FormatError(at + ": is neither a group nor a dataset");
    }
  }

  Object read_object(std::uint64_t address, const std::string& at) {
    constexpr std::size_t kPrefix = 16;
    const Block prefix = read(address, kPrefix, at);
    if (prefix.number(0, 1) != 1)
      throw FormatError(at + ": has an object header of another version");
    struct Part {
      std::uint64_t address, bytes;
    };
    std::vector<Part> parts = {{address + kPrefix, prefix.number(8, 4)}};
    Object object;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (parts[p].bytes > kMostHeaderBytes || p == kMostHeaderParts) {
        throw FormatError(at + ": its object header is larger than lockstep writes any");
      }
      const Block part = read(parts[p].address, parts[p].bytes, at);
      for (std::size_t offset = 0; offset + 8 <= part.size();) {
        const std::uint64_t type = part.number(offset, 2), bytes = part.number(offset + 2, 2);
        if (part.number(offset + 4, 1) & 2) throw FormatError(at + ": has a shared header message");
        const auto body = part.part(offset + 8, bytes);
        object.messages.push_back({type, {{body.begin(), body.end()}, at}});
        const Block& kept = object.messages.back().body;
        if (type == kContinuation) parts.push_back({kept.number(0, 8), kept.number(8, 8)});
        offset += 8 + bytes;
      }
    }
    return object;
  }

  void enter_group(const Block& table, const std::string& name, const std::string& at, int groups) {
    const Block heap = read(table.number(8, 8), 32, at);
    if (!heap.has(0, "HEAP")) throw FormatError(at + ": its names are damaged");
    const Names names{heap.number(24, 8), heap.number(8, 8)};
    enter_tree(table.number(0, 8), names, name, at, groups, -1);
  }

  struct Names {
    std::uint64_t address, bytes;  // of the heap's text
  };

  /// `level`: what the node must have; -1 at the top, where it says so itself.
  void enter_tree(std::uint64_t address, const Names& names, const std::string& name,
                  const std::string& at, int groups, int level) {
    visit(address, at);
    const Block node = read(address, 24, at);
    const auto own = static_cast<int>(node.number(5, 1));
    const std::size_t children = node.number(6, 2);
    const bool possible = node.has(0, "TREE") && node.number(4, 1) == 0 && own <= kMostLevels &&
                          (level < 0 || own == level) && children <= kMostChildren;
    if (!possible) throw FormatError(at + ": its tree of names is damaged");
    const Block entries = read(address + 24, children * 16 + 8, at);  // key, child, key, ... key
    for (std::size_t c = 0; c < children; ++c) {
      const std::uint64_t child = entries.number(8 + 16 * c, 8);
      if (own > 0) {
        enter_tree(child, names, name, at, groups, own - 1);
      } else {
        enter_symbols(child, names, name, at, groups);
      }
    }
  }

  void enter_symbols(std::uint64_t address, const Names& names, const std::string& name,
                     const std::string& at, int groups) {
    constexpr std::size_t kEntryBytes = 40;
    visit(address, at);
    const Block node = read(address, 8, at);
    const std::size_t symbols = node.number(6, 2);
    if (!node.has(0, "SNOD") || symbols > kMostSymbols) {
      throw FormatError(at + ": its list of names is damaged");
    }
    const Block entries = read(address + 8, symbols * kEntryBytes, at);
    for (std::size_t s = 0; s < symbols; ++s) {
      const std::string link = read_name(names, entries.number(kEntryBytes * s, 8), at);
      const std::string full = name.empty() ? link : name + "/" + link;
      if (entries.number(kEntryBytes * s + 16, 4) >
          1) {  // what is cached: 2 for a soft link's text
        throw FormatError(path_ + ": " + full + ": is a soft link; lockstep follows none");
      }
      enter(entries.number(kEntryBytes * s + 8, 8), full, groups + 1);
    }
  }

  std::string read_name(const Names& names, std::uint64_t offset, const std::string& at) {
    if (offset >= names.bytes || names.address > file_bytes_ - base_) {
      throw FormatError(at + ": a name in it is damaged");
    }
    const std::uint64_t most = std::min<std::uint64_t>(names.bytes - offset, kMostNameBytes);
    const std::uint64_t left = file_bytes_ - base_ - names.address;
    if (offset >= left) throw FormatError(at + ": a name in it is damaged");
    const Block text = read(names.address + offset, std::min(most, left - offset), at);
    std::string name;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const char letter = static_cast<char>(text.number(i, 1));
      if (letter == '\0' && !name.empty()) return name;
      if (letter == '\0' || letter == '/') break;
      name += letter;
    }
    throw FormatError(at + ": a name in it is damaged");
  }

  StoredDataset describe(const Object& object, const std::string& at) const {
    const Block* space = object.find(kDataspace);
    const Block* type = object.find(kDatatype);
    const Block& layout = *object.find(kLayout);
    if (!space || !type) throw FormatError(at + ": lacks its type or dims");
    if (layout.number(0, 1) != 3 || layout.number(1, 1) != 1) {
      throw FormatError(at + ": is not stored contiguously");
    }
    if (object.find(kFilters)) throw FormatError(at + ": is stored through filters");
    if (object.find(kExternalFiles)) throw FormatError(at + ": keeps its values in another file");
    const auto known = type_of(*type);
    if (!known) throw FormatError(at + ": its elements are of a type that lockstep never stores");
    StoredDataset dataset{*known, dims_of(*space, at), 0};
    const auto bytes = static_cast<std::uint64_t>(elements_of(dataset.dims, at)) * bytes_of(*known);
    const std::uint64_t address = layout.number(2, 8);
    if (bytes == 0) return dataset;
    if (address == kUndefined) throw FormatError(at + ": its values were never written");
    if (layout.number(10, 8) != bytes || address > file_bytes_ - base_ ||
        bytes > file_bytes_ - base_ - address) {
      throw FormatError(at + ": its values do not fit into the file");
    }
    dataset.offset = base_ + address;
    return dataset;
  }

  const OpenFile& file_;
  std::uint64_t file_bytes_;
  std::string path_;
  std::map<std::string, StoredDataset>& datasets_;
  std::uint64_t base_ = 0;   // addresses count from here
  std::uint64_t spent_ = 0;  // bytes that were read
  std::set<std::uint64_t> visited_;
};

}  // namespace

Reader::Reader(const std::filesystem::path& path) : file_(OpenFile::for_reading(path)) {
  Walk(file_, datasets_).run();
}

const StoredDataset& Reader::find(const std::string& name, ElementType type) const {
  const std::string at = file_.path().string() + ": " + name;
  const auto found = datasets_.find(name);
  if (found == datasets_.end()) throw FormatError(at + ": is not there");
  if (found->second.type != type) {
    throw FormatError(at + ": its elements are " + name_of(found->second.type) + ", not " +
                      name_of(type));
  }
  return found->second;
}

void Reader::read(const std::string& name, ElementType type, const std::vector<std::int64_t>& dims,
                  std::span<std::byte> values) const {
  const StoredDataset& dataset = find(name, type);
  const std::string at = file_.path().string() + ": " + name;
  if (dataset.dims != dims) {
    throw FormatError(at + ": has dims " + to_text(dataset.dims) + ", expected " + to_text(dims));
  }
  if (values.size() != static_cast<std::uint64_t>(elements_of(dims, at)) * bytes_of(type)) {
    throw InternalError(at + ": a buffer of " + std::to_string(values.size()) +
                        " bytes does not fit dims " + to_text(dims));
  }
  if (!values.empty() && file_.read_at(dataset.offset, values) != values.size()) {
    throw IoError(at + ": the file has become shorter while it was open");
  }
}

}  // namespace lockstep::hdf5
