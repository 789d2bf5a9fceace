#include "tests/jobs/runs/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <sstream>
#include <thread>

namespace lockstep::test {

namespace fs = std::filesystem;

Process::Process(std::vector<std::string> command, const fs::path& output) {
  std::vector<char*> words;
  for (std::string& word : command) words.push_back(word.data());
  words.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(words[0], words.data());
    _exit(127);
  }
}

Process::~Process() { kill_all(); }

bool Process::running() {
  if (ended_) return false;
  if (waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
  return !ended_;
}

int Process::wait(std::chrono::seconds most) {
  const auto deadline = std::chrono::steady_clock::now() + most;
  while (running()) {
    if (std::chrono::steady_clock::now() > deadline) {
      ADD_FAILURE() << "the program did not end within " << most.count() << " s";
      kill_all();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

std::vector<pid_t> descendants(pid_t root) {
  std::multimap<pid_t, pid_t> children;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string stat = file_text(entry.path() / "stat");
    const std::size_t end = stat.rfind(')');  // the name before it may hold anything
    if (end == std::string::npos) continue;
    std::istringstream rest(stat.substr(end + 1));
    std::string state;
    pid_t parent = 0;
    if (rest >> state >> parent) children.emplace(parent, std::stoi(name));
  }
  std::vector<pid_t> found{root};
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto [begin, last] = children.equal_range(found[i]);
    for (auto it = begin; it != last; ++it) found.push_back(it->second);
  }
  found.erase(found.begin());
  return found;
}

void Process::signal_ranks(int signal) {
  for (pid_t pid : descendants(pid_)) {
    const std::string command = file_text("/proc/" + std::to_string(pid) + "/cmdline");
    const std::string program = command.substr(0, command.find('\0'));
    if (fs::path(program).filename() == "lockstep") kill(pid, signal);
  }
}

void Process::kill_all() {
  if (running()) kill(pid_, SIGSTOP);  // a supervisor must not start others meanwhile
  const std::vector<pid_t> below = descendants(pid_);
  for (pid_t pid : below) kill(pid, SIGKILL);
  if (!running()) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
  ended_ = true;
}

FreshDirectory::FreshDirectory() {
  std::string name = (fs::temp_directory_path() / "lockstep-test-XXXXXX").string();
  path_ = mkdtemp(name.data());
}

FreshDirectory::~FreshDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

std::string file_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace lockstep::test
