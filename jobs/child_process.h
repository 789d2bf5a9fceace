#pragma once
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <string>
#include <vector>

namespace lockstep {

/// For execv; `command` must outlive it.
inline std::vector<char*> words_to_execute(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  return words;
}

/// Whether this process was started with the signal ignored, as nohup does with SIGHUP.
inline bool ignores(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 &&
         now.sa_handler == SIG_IGN;
}

/// As a shell says it: 128 + N after signal N. `status`: of waitpid.
inline int exit_code_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/// Waits for the end of a child; its exit code.
inline int wait_for_end(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code_of(status);
}

}  // namespace lockstep
