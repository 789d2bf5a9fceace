#include "jobs/drill_run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include "data/checkpoint.h"
#include "data/error.h"
#include "data/files.h"
#include "data/timing.h"
#include "jobs/child_process.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// A residual net on made-up pictures, small enough that starting takes longer than training.
constexpr const char* kJob = R"([data]
source = synthetic
synthetic_samples = 128
synthetic_classes = 4
channels = 3
height = 8
width = 8
[model]
family = custom
counts = 1, 1
widths = 16, 32
[train]
batch = 16
epochs = 5
hash_every = 1
validate_every = 0
[optimizer]
learning_rate = 0.02
[checkpoint]
every_steps = 5
[health]
on_nan = rollback
every_steps = 5
[watchdog]
collective_s = 1
)";

class Listener {
 public:
  explicit Listener(RunOutcome& outcome) : outcome_(outcome) {}

  /// False at the end of the file.
  bool take(int file) {
    std::array<char, 4096> text{};
    const ssize_t got = read(file, text.data(), text.size());
    if (got < 0) return errno == EINTR || errno == EAGAIN;
    for (ssize_t i = 0; i < got; ++i) {
      const char c = text[static_cast<std::size_t>(i)];
      if (c != '\n')
        line_ += c;
      else
        outcome_.lines.push_back({seconds_now(), std::exchange(line_, {})});
    }
    return got > 0;
  }

 private:
  RunOutcome& outcome_;
  std::string line_;
};

pid_t start(const std::vector<std::string>& command, int output) {
  const std::vector<char*> words = words_to_execute(command);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  dup2(output, STDOUT_FILENO);
  dup2(output, STDERR_FILENO);
  execv(words[0], words.data());
  _exit(127);
}

}  // namespace

const ToldLine* RunOutcome::find(const std::string& words, double from_s) const {
  for (const ToldLine& line : lines)
    if (line.at_s >= from_s && line.text.find(words) != std::string::npos) return &line;
  return nullptr;
}

RunOutcome run_and_listen(const std::vector<std::string>& command, double most_s) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0)
    throw IoError(std::string("no pipe: ") + std::strerror(errno));
  RunOutcome outcome{.began_s = seconds_now()};
  const pid_t pid = start(command, ends[1]);
  close(ends[1]);
  if (pid < 0) throw IoError("cannot start " + command[0] + ": " + std::strerror(errno));
  Listener listener(outcome);
  const double end_s = outcome.began_s + most_s;
  bool told_to_end = false;
  for (bool open = true; open;) {
    pollfd file{ends[0], POLLIN, 0};
    const double left_s = std::max(0.0, end_s - seconds_now());
    if (poll(&file, 1, told_to_end ? -1 : static_cast<int>(std::ceil(left_s * 1000))) > 0)
      open = listener.take(ends[0]);
    else if (seconds_now() >= end_s && !std::exchange(told_to_end, true))
      kill(pid, SIGINT);  // lockstep launch ends its ranks at once
  }
  close(ends[0]);
  outcome.exit_code = wait_for_end(pid);
  return outcome;
}

DrillRun::DrillRun(fs::path directory, std::string name, int ranks)
    : directory_(std::move(directory)), name_(std::move(name)), ranks_(ranks) {
  write_file_durably(directory_ / "drill.cfg", kJob);
}

RunOutcome DrillRun::train(const std::vector<std::string>& sets, const std::string& fault,
                           int threads) const {
  constexpr double kMost_s = 120;
  std::vector<std::string> command{fs::read_symlink("/proc/self/exe").string(),
                                   "launch",
                                   "-n",
                                   std::to_string(ranks_),
                                   "--threads",
                                   std::to_string(threads),
                                   "--max-failures",
                                   "3",
                                   "train",
                                   (directory_ / "drill.cfg").string(),
                                   "--set",
                                   "run.directory=" + directory_.string(),
                                   "--set",
                                   "run.name=" + name_};
  for (const std::string& set : sets) command.insert(command.end(), {"--set", set});
  if (!fault.empty()) command.insert(command.end(), {"--fault", fault});
  return run_and_listen(command, kMost_s);
}

fs::path DrillRun::newest_checkpoint() const {
  const fs::path all = run_directory() / "checkpoints";
  const auto steps = list_checkpoints(all);
  if (steps.empty()) throw MissingFileError(all.string() + ": no checkpoint was saved");
  return all / checkpoint_name(steps.back());
}

std::optional<std::uint64_t> DrillRun::final_weights() const {
  try {
    const Checkpoint last =
        Checkpoint::open(run_directory() / "checkpoints" / checkpoint_name(kSteps));
    std::uint64_t hash = 0;
    for (const std::string& name : last.names()) {
      const auto dims = last.dims(name);
      std::vector<float> values(static_cast<std::size_t>(
          std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>())));
      last.read(name, values);
      hash = hash * 31 + hash64(std::as_bytes(std::span(values)));
    }
    return hash;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace lockstep
