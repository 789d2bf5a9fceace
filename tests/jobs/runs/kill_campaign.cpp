// kill_campaign --kills N --seed S [--spares yes]: one training on two ranks under `lockstep launch`, of which N times a
// process is killed with kill -9 (a rank, all ranks, or mpirun with or without them; between steps, in a
// save, in the start). It must resume by itself each time and end with the bits of a training that was
// left alone: every line of metrics.jsonl, but for times, and every tensor. With spares there is one for each kill, of a
// rank (a spare, perhaps), and the others go on without a restart (ULFM).
#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>
#include <stdexcept>
#include <thread>

#include "data/timing.h"
#include "jobs/run_progress.h"
#include "tests/jobs/runs/training_room.h"

namespace lockstep::test {
namespace {

namespace fs = std::filesystem;

void sleep_ms(double ms) {
  std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(ms));
}

/// What is below the supervisor: mpirun is its child, the ranks are mpirun's.
struct Ranks {
  pid_t mpirun = 0;
  std::vector<pid_t> ranks;
};

Ranks ranks_of(pid_t supervisor) {
  Ranks found;
  for (pid_t pid : descendants(supervisor)) {
    const std::string command = file_text("/proc/" + std::to_string(pid) + "/cmdline");
    const bool rank = fs::path(command.substr(0, command.find('\0'))).filename() == "lockstep";
    if (rank)
      found.ranks.push_back(pid);
    else if (found.mpirun == 0)
      found.mpirun = pid;
  }
  return found;
}

class Campaign {
 public:
  Campaign(int kills, std::uint64_t seed, bool spares)
      : kills_(kills),
        spares_(spares),
        random_(seed),
        sets_{"train.epochs=" + std::to_string(2 * kills + 2), "train.validate_every=3",
              "checkpoint.every_steps=2"} {}

  int run();

 private:
  int below(int n) { return std::uniform_int_distribution(0, n - 1)(random_); }
  double milliseconds(double most) { return std::uniform_real_distribution(0.0, most)(random_); }

  void train_alone();
  std::vector<std::string> command_to_disturb() const;
  void kill_some(const Ranks& found);
  bool kill_once(Process& supervisor);
  void wait_for_moment(Process& supervisor);
  void wait_for_step_after_restart(Process& supervisor, std::int64_t starts);
  std::int64_t starts() const;
  RunProgress progress() const { return read_progress(room_.run("killed")); }
  bool save_under_way() const;
  int compare() const;
  int restarts() const;

  int kills_;
  bool spares_;
  std::mt19937_64 random_;
  std::vector<std::string> sets_;
  TrainingRoom room_;
  std::map<std::string, int> moments_, victims_;
  std::vector<double> seconds_;  // from a kill to the next step
  std::int64_t steps_again_ = 0;
};

void Campaign::train_alone() {
  Process process(room_.command("whole", 2, sets_), room_.log("whole"));
  if (process.wait(std::chrono::seconds(600)) != 0)
    throw std::runtime_error("training alone failed: " + file_text(room_.log("whole")));
}

std::int64_t Campaign::starts() const {
  const auto json =
      nlohmann::json::parse(file_text(room_.run("killed") / "environment.json"), nullptr, false);
  return json.is_array() ? static_cast<std::int64_t>(json.size()) : 0;
}

bool Campaign::save_under_way() const {
  std::error_code gone;
  for (fs::directory_iterator entry(room_.run("killed") / "checkpoints", gone), end;
       !gone && entry != end; entry.increment(gone))
    if (entry->path().filename().string().starts_with(".tmp-step")) return true;
  return false;
}

/// A third each: so many steps on, a save that is under way, some time after a start.
void Campaign::wait_for_moment(Process& supervisor) {
  const int kind = below(3);
  const std::int64_t from = progress().step;
  const char* const names[] = {"at a step", "in a save", "at a time"};
  ++moments_[names[kind]];
  // The last restart may not have been waited for: a second covers most of it.
  const double longest = seconds_now() + (kind == 2 ? milliseconds(1000) / 1000 : 20);
  const std::int64_t most_steps = kind == 0 ? 1 + below(4) : 6;
  while (supervisor.running() && seconds_now() < longest) {
    if (kind == 1 && save_under_way()) break;
    if (progress().step >= from + most_steps) break;
    sleep_ms(kind == 1 ? 0.2 : 1);
  }
  if (kind < 2) sleep_ms(milliseconds(kind == 1 ? 4 : 10));
}

void Campaign::kill_some(const Ranks& found) {
  if (spares_) {
    const int victim = below(static_cast<int>(found.ranks.size()));
    ++victims_["rank " + std::to_string(victim) + " of the living"];
    kill(found.ranks[static_cast<std::size_t>(victim)], SIGKILL);
    return;
  }
  const int victim = below(5);
  const char* const names[] = {"first rank", "second rank", "all ranks", "mpirun",
                               "mpirun and all ranks"};
  ++victims_[names[victim]];
  if (victim >= 3) kill(found.mpirun, SIGKILL);
  if (victim == 0 || victim == 2 || victim == 4) kill(found.ranks[0], SIGKILL);
  if (victim == 1 || victim == 2 || victim == 4) kill(found.ranks[1], SIGKILL);
}

/// False if the training has ended.
bool Campaign::kill_once(Process& supervisor) {
  wait_for_moment(supervisor);
  Ranks found = ranks_of(supervisor.pid());
  for (double until = seconds_now() + 20; found.ranks.size() < 2;
       found = ranks_of(supervisor.pid())) {
    if (!supervisor.running() || seconds_now() > until) return false;
    sleep_ms(2);
  }
  const std::int64_t starts_before = starts();
  const RunProgress reached = progress();
  kill_some(found);
  if (!spares_) steps_again_ += std::max<std::int64_t>(0, reached.step - reached.checkpoint);
  if (below(2) == 0) wait_for_step_after_restart(supervisor, starts_before);
  return true;
}

/// Until a start that came after `starts_before` has done a step; notes how long that took.
void Campaign::wait_for_step_after_restart(Process& supervisor, std::int64_t starts_before) {
  const double killed = seconds_now();
  while (supervisor.running() && starts() <= starts_before) sleep_ms(5);
  const fs::path record = room_.run("killed") / "environment.json";
  const fs::path metrics = room_.run("killed") / "metrics.jsonl";
  const std::int64_t from = progress().checkpoint;
  while (supervisor.running()) {
    struct stat a {
    }, b{};
    stat(record.c_str(), &a);
    stat(metrics.c_str(), &b);
    const bool newer = std::pair(b.st_mtim.tv_sec, b.st_mtim.tv_nsec) >
                       std::pair(a.st_mtim.tv_sec, a.st_mtim.tv_nsec);
    if (newer && progress().step > from) break;
    sleep_ms(2);
  }
  seconds_.push_back(seconds_now() - killed);
}

int Campaign::compare() const {
  const auto whole = room_.metrics("whole"), killed = room_.metrics("killed");
  if (whole != killed) {
    for (std::size_t i = 0; i < std::min(whole.size(), killed.size()); ++i)
      if (whole[i] != killed[i]) {
        std::printf("line %zu of metrics.jsonl differs:\n%s\n%s\n", i + 1, whole[i].dump().c_str(),
                    killed[i].dump().c_str());
        return 1;
      }
    std::printf("%zu lines of metrics.jsonl, not %zu\n", killed.size(), whole.size());
    return 1;
  }
  const std::int64_t last = whole.back()["step"].get<std::int64_t>();
  if (room_.tensors("whole", last) != room_.tensors("killed", last)) {
    std::printf("tensors of the last checkpoint differ\n");
    return 1;
  }
  return 0;
}

std::vector<std::string> Campaign::command_to_disturb() const {
  std::vector<std::string> sets = sets_;
  if (spares_)
    sets.insert(sets.end(),
                {"parallel.on_rank_lost=shrink", "parallel.spares=" + std::to_string(kills_)});
  return room_.command("killed", spares_ ? 2 + kills_ : 2, sets,
                       {"--max-failures", "50", "--wait", "0"});
}

int Campaign::restarts() const {
  const std::string said = file_text(room_.log("killed"));
  int count = 0;
  for (std::size_t at = 0; (at = said.find("starting again", at)) != std::string::npos; ++at)
    ++count;
  return count;
}

int Campaign::run() {
  train_alone();
  const double begin = seconds_now();
  int done = 0, code = 0;
  {
    Process supervisor(command_to_disturb(), room_.log("killed"));
    while (done < kills_ && supervisor.running() && kill_once(supervisor)) ++done;
    code = supervisor.wait(std::chrono::seconds(600));
  }
  const double took = seconds_now() - begin;
  if (spares_) std::printf("%d of them needed a restart\n", restarts());
  std::printf("%d kills, %lld starts, %.1f s; at least %lld steps done again\n", done,
              static_cast<long long>(starts()), took, static_cast<long long>(steps_again_));
  for (const auto& counts : {moments_, victims_})
    for (const auto& [what, count] : counts) std::printf("  %-22s %d\n", what.c_str(), count);
  std::sort(seconds_.begin(), seconds_.end());
  if (!seconds_.empty())
    std::printf("kill to next step: median %.2f s, longest %.2f s (%zu of them)\n",
                median(seconds_), seconds_.back(), seconds_.size());
  if (code != 0 || done < kills_) {
    std::printf("exit code %d after %d of %d kills:\n%s\n", code, done, kills_,
                file_text(room_.log("killed")).c_str());
    return 1;
  }
  // A rank that is killed while the job starts is one, whatever is asked for.
  if (spares_ && restarts() > std::max(1, kills_ / 4)) {
    std::printf("too many restarts for ranks that are to go on without them:\n%s\n",
                file_text(room_.log("killed")).c_str());
    return 1;
  }
  if (compare() != 0) return 1;
  std::printf("metrics and tensors are bit-equal to those of the training that was left alone\n");
  return 0;
}

}  // namespace
}  // namespace lockstep::test

int main(int argc, char** argv) {
  int kills = 0;
  std::uint64_t seed = 0;
  bool spares = false;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--kills") kills = std::atoi(argv[i + 1]);
    if (std::string(argv[i]) == "--spares") spares = std::string(argv[i + 1]) == "yes";
    if (std::string(argv[i]) == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  if (kills < 1) {
    std::fprintf(stderr, "Usage: kill_campaign --kills N --seed S [--spares yes]\n");
    return 64;
  }
  return lockstep::test::Campaign(kills, seed, spares).run();
}
