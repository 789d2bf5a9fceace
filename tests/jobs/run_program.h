#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace lockstep {

/// What the program said and how it ended.
struct ProgramResult {
  int exit_code = -1;
  std::string output;
  std::string errors;

  bool says(const std::string& text) const { return output.find(text) != std::string::npos; }
  bool complains(const std::string& text) const { return errors.find(text) != std::string::npos; }
};

/// A fresh directory in which the built program is run; removed at the end.
class ProgramRoom {
 public:
  ProgramRoom() {
    std::string name = (std::filesystem::temp_directory_path() / "lockstep-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
    directory_ = name;
  }
  ~ProgramRoom() {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  ProgramRoom(const ProgramRoom&) = delete;
  ProgramRoom& operator=(const ProgramRoom&) = delete;

  const std::filesystem::path& directory() const { return directory_; }

  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((directory_ / name).parent_path());
    std::ofstream(directory_ / name, std::ios::binary) << text;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(directory_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  /// lockstep `arguments` (words for a shell) in the directory, with one thread.
  ProgramResult run(const std::string& arguments) const {
    const std::string command = "cd '" + directory_.string() + "' && OMP_NUM_THREADS=1 '" +
                                LOCKSTEP_PROGRAM + "' " + arguments + " >out 2>err";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read("out"),
            read("err")};
  }

 private:
  std::filesystem::path directory_;
};

/// A job that is done in a moment: two narrow groups on synthetic images.
inline const char* const kTinyJob = R"(
[run]
name = tiny
[data]
source = synthetic
synthetic_samples = 48
synthetic_classes = 4
channels = 3
height = 8
width = 8
[model]
family = custom
counts = 1, 1
widths = 16, 32
[train]
epochs = 2
batch = 16
[parallel]
threads = 1
)";

}  // namespace lockstep
