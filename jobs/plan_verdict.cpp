#include "jobs/plan_verdict.h"

#include <nlohmann/json.hpp>

#include "coordinator/plan/report_text.h"
#include "data/number_text.h"
#include "layers/model_table.h"

namespace lockstep {
namespace {

using Json = nlohmann::ordered_json;

/// "12.3 s", "4.56 minutes", "7.89 hours".
std::string duration(double seconds) {
  if (seconds < 1) return four_digits(1e3 * seconds) + " ms";
  if (seconds < 120) return four_digits(seconds) + " s";
  return seconds < 7200 ? four_digits(seconds / 60) + " minutes"
                        : four_digits(seconds / 3600) + " hours";
}

Json memory_json(const StageReport& stage) {
  Json groups = Json::array();
  for (const MemoryGroup& group : stage.memory) {
    Json parts = Json::object();
    for (const MemoryPart& part : group.parts) parts[part.name] = part.bytes;
    groups.push_back({{"name", group.name}, {"bytes", group.bytes()}, {"parts", parts}});
  }
  return groups;
}

Json traffic_json(const Traffic& traffic) {
  return {{"gradient_bytes", traffic.gradient_bytes()},
          {"gradient_buckets", traffic.bucket_bytes},
          {"gradient_bytes_sent", traffic.gradient_bytes_sent},
          {"sync_bn_messages", traffic.sync_messages},
          {"sync_bn_bytes", traffic.sync_bytes},
          {"stage_messages", traffic.stage_messages},
          {"stage_bytes_sent", traffic.stage_bytes_sent}};
}

Json stage_json(const StageReport& stage) {
  return {{"blocks", stage.blocks},
          {"ops", stage.ops},
          {"computing_seconds", stage.busy_seconds},
          {"recomputes", stage.replays},
          {"held_micro_batches", stage.held},
          {"bytes", total_bytes(stage.memory)},
          {"memory", memory_json(stage)},
          {"traffic_of_a_step", traffic_json(stage.traffic)}};
}

Json assumed_json(const MachineModel& machine) {
  return {{"flops_per_second", machine.flops_per_second},
          {"bytes_per_second", machine.bytes_per_second},
          {"update_bytes_per_second", machine.update_bytes_per_second},
          {"seconds_per_byte", machine.seconds_per_byte}};
}

}  // namespace

std::string verdict_text(const PlannedNeeds& needs) {
  const MachineUse& use = needs.use;
  std::string text = use.fits() ? "fits          " : "does not fit  ";
  const std::size_t programs = kProgramBytes * static_cast<std::size_t>(use.ranks);
  text += in_units(use.heaviest_bytes + kProgramBytes) + " a rank (with " +
          in_units(kProgramBytes) + " for the program and MPI)";
  if (use.ranks > 1)
    text += ", " + in_units(use.bytes + programs) + " the " + std::to_string(use.ranks) +
            " ranks of a machine";
  text += ", of " + in_units(use.usable_bytes() + programs) + "\na step        " +
          duration(needs.report.seconds) + ", " + needs.origin +
          ", messages between nodes aside\nthe job       ";
  if (needs.steps == 0) return text + "unknown: how many samples there are is not said\n";
  return text + with_commas(static_cast<std::size_t>(needs.steps)) + " steps" +
         (needs.validation_seconds > 0 ? " and validations: " : ": ") +
         duration(3600 * needs.hours()) + "\n";
}

std::string plan_json(const Job& job, const PlanInput& in, const PlannedJob& planned) {
  const PlannedNeeds& needs = planned.needs();
  const ModelRow model = model_total(planned.graph());
  Json stages = Json::array();
  for (const StageReport& stage : needs.report.stages) stages.push_back(stage_json(stage));
  return Json{{"fits", needs.use.fits()},
              {"rank_bytes", needs.use.heaviest_bytes},
              {"program_bytes", kProgramBytes},
              {"machine",
               {{"ranks", needs.use.ranks},
                {"bytes", needs.use.bytes},
                {"usable_bytes", needs.use.usable_bytes()},
                {"memory_bytes", needs.use.machine_bytes}}},
              {"step_seconds", needs.report.seconds},
              {"step_seconds_are", needs.origin},
              {"assumed", assumed_json(needs.machine)},
              {"steps", needs.steps},
              {"steps_per_epoch", needs.steps_per_epoch},
              {"hours", needs.hours()},
              {"model",
               {{"family", job.model.family},
                {"input", {in.input.channels, in.input.height, in.input.width}},
                {"classes", in.classes},
                {"parameters", model.parameters},
                {"forward_flops_an_image", model.cost.forward_flops},
                {"backward_flops_an_image", model.cost.backward_flops}}},
              {"replicas", needs.replicas},
              {"threads", needs.threads},
              {"batch", job.train.batch},
              {"micro_batches", job.train.micro_batches},
              {"images_of_a_micro_batch", needs.images},
              {"bubble", needs.report.bubble},
              {"stages", stages}}
             .dump(2) +
         "\n";
}

}  // namespace lockstep
