#include "jobs/drills.h"

#include <cstdio>

#include "data/error.h"
#include "data/files.h"
#include "jobs/drill_run.h"
#include "worker/comm/mpi.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

/// What of a line is for people: without its time and level.
std::string words_of(const ToldLine& line) {
  for (const char* before :
       {"lockstep: error: ", "lockstep: fault: ", ": launch: ", "warning: ", "error: ", "info: "})
    if (const std::size_t at = line.text.find(before); at != std::string::npos)
      return line.text.substr(at + std::string(before).size());
  return line.text;
}

std::string number_before(const std::string& text, const std::string& words) {
  const std::size_t end = text.find(words);
  if (end == std::string::npos || end == 0) return "";
  const std::size_t begin = text.find_last_not_of("0123456789", end - 1) + 1;
  return text.substr(begin, end - begin);
}

std::string last_lines(const RunOutcome& run) {
  std::string text = "exit code " + std::to_string(run.exit_code);
  const std::size_t from = run.lines.size() > 5 ? run.lines.size() - 5 : 0;
  for (std::size_t i = from; i < run.lines.size(); ++i) text += "\n    | " + run.lines[i].text;
  return text;
}

/// Fills what is the same in all drills: the fault's line, what told of it, the first step after it.
DrillReport report_of(const RunOutcome& run, const std::string& detected, const std::string& by) {
  DrillReport report{.by = by, .lost = "nothing"};
  const ToldLine* fault = run.find("lockstep: fault: ");
  if (!fault) {
    report.failure = "nothing was injected: " + last_lines(run);
    return report;
  }
  report.injected = words_of(*fault);
  const ToldLine* told = run.find(detected, fault->at_s);
  if (!told) {
    report.failure = "not detected: no line says '" + detected + "'; " + last_lines(run);
    return report;
  }
  report.detected = words_of(*told);
  report.detected_s = told->at_s - fault->at_s;
  return report;
}

void check_end(DrillReport& report, const RunOutcome& run, const DrillRun& training,
               const DrillPlace& place) {
  if (!report.failure.empty()) return;
  if (run.exit_code != 0)
    report.failure = "not recovered: " + last_lines(run);
  else if (training.final_weights() != place.weights)
    report.failure = "the weights at the end are not those of an undisturbed training";
}

/// What training says when it goes on from an older checkpoint.
void note_lost(DrillReport& report, const RunOutcome& run) {
  constexpr const char* kWords = " steps after step ";
  if (const ToldLine* lost = run.find(kWords))
    report.lost = number_before(lost->text, kWords) + " steps, done again";
}

/// Until ranks that were started again train.
void note_restart(DrillReport& report, const RunOutcome& run) {
  if (!report.failure.empty()) return;
  const double fault_s = run.find("lockstep: fault: ")->at_s;
  const ToldLine* again = run.find("steps will be done again", fault_s);
  const ToldLine* step = again ? run.find("  loss ", again->at_s) : nullptr;
  if (!step) {
    report.failure = "not recovered: the ranks did not train again; " + last_lines(run);
    return;
  }
  report.lost = number_before(again->text, " steps will be done again") + " steps, done again";
  report.recovered_s = step->at_s - fault_s;
  report.recovered = "the first step after the restart is done";
}

std::string fault_of_last_rank(const DrillPlace& place, const std::string& kind) {
  return kind + ":" + std::to_string(place.ranks - 1) + ":12";
}

DrillReport restarts(const DrillPlace& place, const std::string& kind, const std::string& detected,
                     const std::string& by) {
  const DrillRun training(place.directory, kind, place.ranks);
  const RunOutcome run = training.train({}, fault_of_last_rank(place, kind));
  DrillReport report = report_of(run, detected, by);
  note_restart(report, run);
  check_end(report, run, training, place);
  return report;
}

DrillReport kill_a_rank(const DrillPlace& place) {
  return restarts(place, "kill", "the training ended after step", "the launcher");
}

/// With a spare in its place the grid is the same, and so are the weights.
DrillReport lose_a_rank(const DrillPlace& place) {
  if (!mpi_has_ulfm()) return {.failure = "needs an MPI with ULFM", .impossible = true};
  const DrillRun training(place.directory, "lose", place.ranks + 1);
  const RunOutcome run = training.train({"parallel.on_rank_lost=shrink", "parallel.spares=1"},
                                        fault_of_last_rank(place, "kill"));
  DrillReport report =
      report_of(run, "lost: rank " + std::to_string(place.ranks - 1), "the other ranks");
  if (const ToldLine* on = run.find(" workers go on after step "); on && report.failure.empty()) {
    report.recovered = words_of(*on);
    report.recovered_s = on->at_s - run.find("lockstep: fault: ")->at_s;
  }
  note_lost(report, run);
  check_end(report, run, training, place);
  if (report.failure.empty() && report.recovered.empty())
    report.failure = "it was started again: " + last_lines(run);
  return report;
}

DrillReport stop_a_rank(const DrillPlace& place) {
  return restarts(place, "stop", "training hangs: rank " + std::to_string(place.ranks - 1),
                  "the other ranks' watchdogs");
}

DrillReport flip_a_bit(const DrillPlace& place) {
  return restarts(place, "flip", "the parameters of replicas differ, first in ",
                  "the replicas' hashes");
}

/// Where ranks share CPUs nobody can tell which of them is slow, or bound to another's.
void excuse_crowd(DrillReport& report, const RunOutcome& run) {
  const bool unnoticed = !report.injected.empty() && report.detected.empty();
  if (!unnoticed || run.exit_code != 0 || !run.find("fine for a trial, slow for training")) return;
  report.failure = "more ranks than CPUs: give each rank a CPU of its own";
  report.impossible = true;
}

DrillReport slow_a_rank(const DrillPlace& place) {
  const DrillRun training(place.directory, "slow", place.ranks);
  const RunOutcome run = training.train({}, fault_of_last_rank(place, "slow"));
  DrillReport report = report_of(run, "the others wait for rank " + std::to_string(place.ranks - 1),
                                 "rank 0, by times in collectives");
  report.recovered = "it went on to the end";
  check_end(report, run, training, place);
  excuse_crowd(report, run);
  return report;
}

DrillReport spoil_a_pixel(const DrillPlace& place) {
  const DrillRun training(place.directory, "nan", place.ranks);
  const RunOutcome run = training.train({}, fault_of_last_rank(place, "nan"));
  DrillReport report = report_of(run, ": the loss is nan", "all ranks, by the gradient's norm");
  if (const ToldLine* back = run.find("rolled back from step ")) {
    report.recovered = words_of(*back) + ", without a restart";
    report.recovered_s = back->at_s - run.find("lockstep: fault: ")->at_s;
  }
  note_lost(report, run);
  check_end(report, run, training, place);
  return report;
}

/// As a full disk meets them: the metrics, this rank's part of a checkpoint, and its manifest.
DrillReport fill_the_disk(const DrillPlace& place) {
  const DrillRun training(place.directory, "full", place.ranks);
  const RunOutcome run = training.train({}, "full:0:12");
  DrillReport report = report_of(run, " not saved: ", "the checkpoint's writer");
  report.lost = "a checkpoint, and lines of metrics.jsonl";
  report.recovered = "older checkpoints stayed, training went on, later ones were saved";
  check_end(report, run, training, place);
  return report;
}

/// Trains half-way, harms the newest checkpoint, and goes on.
DrillReport harm_a_checkpoint(const DrillPlace& place, const std::string& name,
                              void (*harm)(const fs::path& shard), const std::string& injected) {
  const DrillRun training(place.directory, name, place.ranks);
  DrillReport report{.injected = injected, .by = "rank 0, by the checkpoint's hashes"};
  const RunOutcome first =
      training.train({"train.max_steps=" + std::to_string(DrillRun::kSteps / 2)});
  if (first.exit_code != 0) {
    report.failure = "the training before failed: " + last_lines(first);
    return report;
  }
  harm(training.newest_checkpoint() / "shard-000.h5");
  const RunOutcome run = training.train({});
  const ToldLine* told = run.find("checkpoint rejected: ");
  const ToldLine* resumed = told ? run.find("resuming from ", told->at_s) : nullptr;
  if (!resumed) {
    report.failure = "not detected, or nothing to go on from: " + last_lines(run);
    return report;
  }
  report.detected = words_of(*told);
  report.detected_s = told->at_s - run.began_s;
  report.recovered = words_of(*resumed);
  report.recovered_s = resumed->at_s - run.began_s;
  note_lost(report, run);
  check_end(report, run, training, place);
  return report;
}

DrillReport corrupt_a_checkpoint(const DrillPlace& place) {
  const auto harm = [](const fs::path& shard) {
    OpenFile file = OpenFile::for_update(shard);
    std::byte middle{};
    file.read_at(file.bytes() / 2, {&middle, 1});
    middle ^= std::byte{1};
    file.write_at(file.bytes() / 2, {&middle, 1});
  };
  return harm_a_checkpoint(place, "corrupt", harm, "a bit of the newest checkpoint is flipped");
}

DrillReport truncate_a_checkpoint(const DrillPlace& place) {
  const auto harm = [](const fs::path& shard) { fs::resize_file(shard, fs::file_size(shard) / 2); };
  return harm_a_checkpoint(place, "truncate", harm, "the newest checkpoint loses half a file");
}

/// Unbound ranks, one of which binds itself to a CPU of the others.
DrillReport pin_wrongly(const DrillPlace& place) {
  if (place.cores < place.ranks)
    return {.failure = "needs as many CPUs as ranks", .impossible = true};
  if (place.together < 2)
    return {.failure = "needs two ranks on a node: an allocation with more tasks on each",
            .impossible = true};
  const DrillRun training(place.directory, "pin", place.ranks);
  const int too_many = place.cores / place.ranks + 1;
  const RunOutcome run = training.train({}, "pin:1:1", too_many);
  DrillReport report = report_of(run, "overlap", "all ranks, before the first step");
  excuse_crowd(report, run);
  if (!report.failure.empty()) return report;
  const RunOutcome again = training.train({});
  report.recovered = "not started; with ranks that launch binds it trains";
  check_end(report, again, training, place);
  return report;
}

}  // namespace

const std::vector<Drill>& drills() {
  static const std::vector<Drill> all{
      {"kill", "a rank is killed", kill_a_rank},
      {"lose", "a rank is killed, a spare takes its place", lose_a_rank},
      {"stop", "a rank is stopped", stop_a_rank},
      {"slow", "a rank takes twice the time", slow_a_rank},
      {"flip", "a bit of a rank's parameters flips", flip_a_bit},
      {"nan", "a pixel is not a number", spoil_a_pixel},
      {"corrupt", "a bit of the newest checkpoint flips", corrupt_a_checkpoint},
      {"truncate", "the newest checkpoint is cut", truncate_a_checkpoint},
      {"full", "the disk is full", fill_the_disk},
      {"pin", "ranks are bound to the same CPUs", pin_wrongly},
  };
  return all;
}

std::uint64_t undisturbed_weights(const DrillPlace& place) {
  const DrillRun training(place.directory, "undisturbed", place.ranks);
  const RunOutcome run = training.train({});
  const auto weights = training.final_weights();
  if (run.exit_code != 0 || !weights)
    throw InternalError("the drills' training fails without any fault: " + last_lines(run));
  return *weights;
}

}  // namespace lockstep
