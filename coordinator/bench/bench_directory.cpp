#include "coordinator/bench/bench_directory.h"

#include <spdlog/spdlog.h>
#include <stdlib.h>

#include <cerrno>
#include <cstring>

#include "data/error.h"
#include "data/files.h"

namespace lockstep {

BenchDirectory::BenchDirectory(const std::filesystem::path& parent, const Communicator& group)
    : group_(group) {
  std::string name, failure;
  if (group.rank() == 0) {
    try {
      create_directories_durably(parent);
      name = (parent / "bench-checkpoint-XXXXXX").string();
      if (!mkdtemp(name.data()))
        throw IoError("cannot make a directory in " + parent.string() + ": " +
                      std::strerror(errno));
    } catch (const Error& e) {
      failure = e.what();
    }
  }
  group.broadcast(failure, 0, "bench directory");
  if (!failure.empty()) throw IoError(failure);
  group.broadcast(name, 0, "bench directory");
  path_ = name;
}

BenchDirectory::~BenchDirectory() {
  if (group_.rank() != 0) return;
  try {
    remove_tree(path_);
  } catch (const Error& e) {
    spdlog::warn("{} stays: {}", path_.string(), e.what());
  }
}

}  // namespace lockstep
