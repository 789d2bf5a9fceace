#include "data/files.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cstring>
#include <fstream>

#include "data/error.h"
#include "tests/data/temp_folder.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

std::span<const std::byte> as_span(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Files, WhatIsWrittenIsRead) {
  const TempFolder folder;
  const fs::path path = fs::path(folder.path()) / "x";
  std::string text(3 << 20, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 31);
  write_file_durably(path, text);
  EXPECT_EQ(read_text_file(path, text.size()), text);
  EXPECT_THROW(read_text_file(path, text.size() - 1), DataError);
  const FileHash expected{text.size(), hash128(text)};
  EXPECT_EQ(hash_file(path), expected);
  write_file_durably(path, "");
  EXPECT_EQ(read_text_file(path, 0), "");
  EXPECT_EQ(hash_file(path).bytes, 0u);
}

TEST(Files, NoPartOfAFileStaysWhereTheDiskIsFull) {
  const TempFolder folder;
  const fs::path path = fs::path(folder.path()) / "x";
  const auto before = signal(SIGXFSZ, SIG_IGN);  // a limit of the process stands for the disk
  rlimit limit{};
  getrlimit(RLIMIT_FSIZE, &limit);
  rlimit small = limit;
  small.rlim_cur = 10;
  setrlimit(RLIMIT_FSIZE, &small);
  EXPECT_THROW(write_file_durably(path, "more than ten bytes"), IoError);
  setrlimit(RLIMIT_FSIZE, &limit);
  signal(SIGXFSZ, before);
  EXPECT_FALSE(fs::exists(path));
  EXPECT_THROW(write_file_durably("/dev/full", "x"), IoError);
  EXPECT_TRUE(fs::exists("/dev/full"));
}

TEST(Files, ErrorsNameThePath) {
  const TempFolder folder;
  const fs::path none = fs::path(folder.path()) / "none" / "x";
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { hash_file(none); }), none.string()));
  EXPECT_TRUE(contains(message_of<MissingFileError>([&] { write_file_durably(none, "x"); }),
                       none.string()));
  EXPECT_THROW(write_file_durably("/dev/full", "x"), IoError);
  EXPECT_THROW(fsync_directory(none), MissingFileError);
}

TEST(Files, ReadAtStopsAtTheEnd) {
  const TempFolder folder;
  const fs::path path = fs::path(folder.path()) / "x";
  write_file_durably(path, "0123456789");
  const OpenFile file = OpenFile::for_reading(path);
  std::string text(6, '-');
  EXPECT_EQ(file.read_at(7, std::as_writable_bytes(std::span(text))), 3u);
  EXPECT_EQ(text, "789---");
  EXPECT_EQ(file.read_at(10, std::as_writable_bytes(std::span(text))), 0u);
  EXPECT_EQ(file.bytes(), 10u);
}

TEST(Files, RenameNeverReplaces) {
  const TempFolder folder;
  const fs::path root = folder.path();
  create_directories_durably(root / "a" / "b");
  create_directories_durably(root / "a" / "b");
  fs::create_directory(root / "empty");
  EXPECT_THROW(rename_durably(root / "a", root / "empty"), IoError);
  rename_durably(root / "a", root / "c");
  EXPECT_TRUE(fs::exists(root / "c" / "b"));
  EXPECT_FALSE(fs::exists(root / "a"));
  EXPECT_THROW(rename_durably(root / "a", root / "d"), MissingFileError);
}

TEST(Files, RemoveTreeDoesNotFollowLinks) {
  const TempFolder folder;
  const fs::path root = folder.path();
  fs::create_directories(root / "tree" / "deep");
  fs::create_directories(root / "kept");
  write_file_durably(root / "kept" / "x", "x");
  fs::create_directory_symlink(root / "kept", root / "tree" / "link");
  remove_tree(root / "tree");
  EXPECT_FALSE(fs::exists(root / "tree"));
  EXPECT_TRUE(fs::exists(root / "kept" / "x"));
  EXPECT_NO_THROW(remove_tree(root / "tree"));
}

TEST(Hash128, IsThePublishedOneHoweverItIsCut) {
  // `printf "" | xxh128sum` and `printf abc | xxh128sum`
  EXPECT_EQ(hash128(std::string_view()), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(hash128(std::string_view("abc")), "06b05ab6733a618578af5f94892f3950");
  std::string text(5000, 'x');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{777}, text.size()}) {
    Hash128 hash;
    hash.update(as_span(text).first(cut));
    hash.update(as_span(text).subspan(cut));
    EXPECT_EQ(hash.hex(), hash128(text));
  }
}

}  // namespace
}  // namespace lockstep
