#pragma once
#include <vector>

#include "layers/graph.h"
#include "worker/plan.h"

namespace lockstep {

/// By op: the gates and stochastic depths through which all its ways to the loss lead, itself among them. Where one of
/// them is drawn 0 for a whole step, neither the op's output nor its gradient makes a difference.
std::vector<std::vector<OpId>> gates_behind(const Graph& graph);

/// How often all of `gates` let a step through. Stochastic depth, drawn for every image, counts as 1.
double share_of_steps(const Graph& graph, const std::vector<OpId>& gates);

/// Pass 6: fills Plan::switches and Message::gates. Huang et al. 2016, arXiv:1603.09382: a dropped branch is bypassed
/// altogether, so its batch norms keep their running statistics. Its gradients are 0, to the bit what computing it gives.
void add_switches(const Graph& graph, Plan& plan);

}  // namespace lockstep
