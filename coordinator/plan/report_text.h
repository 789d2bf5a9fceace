#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "coordinator/plan/machine_model.h"
#include "coordinator/plan/memory_report.h"

namespace lockstep {

/// "1.5 KiB", "12.3 MiB": three or four digits.
std::string in_units(std::size_t bytes);

/// "12,345,678"
std::string with_commas(std::size_t number);

/// Lines of cells in columns as wide as their widest cell, `indent` blanks before them; the first
/// column to the left, the others to the right.
std::string columns(const std::vector<std::vector<std::string>>& lines, int indent = 0);

/// Groups, their parts and the total, in bytes and in units.
std::string memory_text(const std::vector<MemoryGroup>& groups);

/// What ranks send in a step.
std::string traffic_text(const Traffic& traffic, int ranks, const AllReduceOptions& options);

/// What a plan's times assume, besides those of ops that were `measured`; `with_sums`: batch norm's are in them.
std::string machine_text(const MachineModel& machine, bool measured, bool with_sums);

/// The whole plan: its phases with their calls, chunks and buffers, and its messages.
std::string phases_text(const Plan& plan, const Graph& graph);

}  // namespace lockstep
