#include "tests/fuzz/campaign.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fstream>
#include <new>
#include <system_error>

#include "data/error.h"
#include "tests/fuzz/sanitized.h"

namespace lockstep::fuzz {
namespace {

namespace fs = std::filesystem;

// Its shadow takes all addresses, and freed memory is kept a while.
constexpr bool kSanitized = LOCKSTEP_FUZZ_SANITIZED;
constexpr std::uint64_t kSanitizerBytes = std::uint64_t{512} << 20;

/// What a child tells its parent, in memory that both see.
struct Progress {
  std::uint32_t next = 0;  // the input that is being read
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  double slowest_s = 0;
  std::uint64_t most_bytes = 0;
  char finding[2048] = {};
};

class SharedProgress {
 public:
  SharedProgress()
      : memory_(mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0)) {
    if (memory_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mmap");
    new (memory_) Progress;
  }
  ~SharedProgress() { munmap(memory_, sizeof(Progress)); }
  SharedProgress(const SharedProgress&) = delete;
  SharedProgress& operator=(const SharedProgress&) = delete;
  Progress* operator->() { return static_cast<Progress*>(memory_); }

 private:
  void* memory_;
};

/// A line of /proc/self/status, in bytes: VmHWM (most memory held so far), VmRSS, VmSize.
std::uint64_t status_bytes(const char* key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != std::string(key) + ":") continue;
    std::uint64_t kib = 0;
    status >> kib;
    return kib << 10;
  }
  return 0;
}

/// Makes VmHWM count anew.
void forget_most_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

void limit_memory(std::uint64_t bytes) {
  if (kSanitized) return;
  const rlim_t most = status_bytes("VmSize") + bytes;
  const rlimit limit{most, most};
  setrlimit(RLIMIT_AS, &limit);
}

/// The default action of both signals ends the process.
void limit_time(int seconds) {
  const itimerval processor{{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &processor, nullptr);
  alarm(static_cast<unsigned>(6 * seconds));
}

std::uint32_t stream_of(const std::string& format) {
  std::uint32_t stream = 2166136261u;  // FNV-1a
  for (const char letter : format)
    stream = (stream ^ static_cast<unsigned char>(letter)) * 16777619u;
  return stream;
}

void read_one(const Format& format, const Input& input, const CampaignOptions& options,
              const fs::path& folder, Progress& progress) {
  forget_most_memory();
  const std::uint64_t before = status_bytes("VmRSS");
  limit_time(options.seconds);
  const auto begin = std::chrono::steady_clock::now();
  const auto refused = run_input(format, input, folder);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  limit_time(0);
  const std::uint64_t most = status_bytes("VmHWM");
  const std::uint64_t added = most - std::min(most, before);
  const std::uint64_t allowed = format.bound().of(input) + (kSanitized ? kSanitizerBytes : 0);
  if (added > allowed) {
    throw Finding("took " + std::to_string(added >> 20) + " MiB of memory, more than " +
                  std::to_string(allowed >> 20));
  }
  ++(refused ? progress.refused : progress.accepted);
  progress.slowest_s = std::max(progress.slowest_s, took.count());
  progress.most_bytes = std::max(progress.most_bytes, added);
}

/// The child. What goes wrong here without a signal is told in `progress`.
[[noreturn]] void read_all(const Format& format, const CampaignOptions& options,
                           const fs::path& folder, Progress& progress) {
  // Twice what is allowed: who takes more is told what it took; the machine is safe all the same.
  limit_memory(2 * format.bound().of({0, {std::string(std::size_t{1} << 20, ' ')}}));
  const std::uint32_t end = options.first + options.mutations;
  try {
    for (; progress.next < end; ++progress.next) {
      read_one(format, make_input(format, options.seed, progress.next), options, folder, progress);
    }
  } catch (const std::exception& error) {
    std::strncpy(progress.finding, error.what(), sizeof(progress.finding) - 1);
    _exit(1);
  }
  _exit(0);
}

std::string describe(int status, const Progress& progress) {
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    if (signal == SIGPROF || signal == SIGALRM) return "takes too long";
    return std::string("signal ") + strsignal(signal);
  }
  if (progress.finding[0] != '\0') return progress.finding;
  return "ended the process with code " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

std::optional<int> run_input(const Format& format, const Input& input, const fs::path& folder) {
  try {
    format.read(input, folder);
    return std::nullopt;
  } catch (const Error& error) {
    if (error.exit_code() == ExitCode::kInternal) {
      throw Finding(std::string("an internal error: ") + error.what());
    }
    if (*error.what() == '\0') throw Finding("an error without a message");
    return static_cast<int>(error.exit_code());
  } catch (const Finding&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Finding("wanted far more memory than it may take");
  } catch (const std::exception& error) {
    throw Finding(std::string("an error without a type: ") + error.what());
  }
}

Input make_input(const Format& format, std::uint64_t seed, std::uint32_t number) {
  Random random(seed, stream_of(format.name()), number);
  const auto& originals = format.originals();
  Input input = originals[random.below(originals.size())];
  if (random.chance(2)) {
    input.mode = static_cast<std::uint8_t>(random.below(static_cast<std::size_t>(format.modes())));
  }
  if (random.chance(2)) input.mode |= kLeaveOutEmpty;
  mutate(input, originals, format.vocabulary(), random);
  return input;
}

CampaignResult run_campaign(const Format& format, const CampaignOptions& options,
                            const fs::path& folder) {
  SharedProgress progress;
  progress->next = options.first;
  CampaignResult result;
  while (progress->next < options.first + options.mutations) {
    const pid_t child = fork();
    if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
    if (child == 0) read_all(format, options, folder, *progress.operator->());
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    const std::uint32_t number = progress->next++;
    const fs::path kept = options.keep / (format.name() + "-" + std::to_string(options.seed) + "-" +
                                          std::to_string(number));
    std::ofstream(kept, std::ios::binary) << to_bytes(make_input(format, options.seed, number));
    result.findings.push_back(kept.string() + ": " + describe(status, *progress.operator->()));
    progress->finding[0] = '\0';
    if (static_cast<int>(result.findings.size()) == options.most_findings) break;
  }
  result.accepted = progress->accepted;
  result.refused = progress->refused;
  result.slowest_s = progress->slowest_s;
  result.most_bytes = progress->most_bytes;
  return result;
}

}  // namespace lockstep::fuzz
