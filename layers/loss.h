#pragma once
#include <span>

#include "layers/graph.h"

namespace lockstep {

/// What a loss sums over the images of a step, in double: the loss of every label, those that are
/// right, those among the best five, how many there are. A pixel loss has a label for every pixel,
/// does not count the best five, and appends three sums for every class: its pixels that are right,
/// that are labelled so, and that are predicted so.
constexpr int kLossSums = 4;

/// Doubles in the sums of a graph's loss.
int loss_sum_count(const Graph& graph, const Op& loss);

/// Labels of one image: 1, or one for every pixel.
int labels_of_image(const Graph& graph);

/// Intersection over union of every class from its three sums; negative for a class that was
/// neither labelled nor predicted.
double intersection_over_union(std::span<const double> three_sums);

/// The mean over the classes that occur. `class_sums`: three for every class; 0 if there are none.
double mean_iou(std::span<const double> class_sums);

}  // namespace lockstep
