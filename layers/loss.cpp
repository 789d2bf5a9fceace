#include "layers/loss.h"

namespace lockstep {

int loss_sum_count(const Graph& graph, const Op& loss) {
  if (loss.traits().labels != Labels::kPixels) return kLossSums;
  return kLossSums + 3 * graph.value(loss.inputs[0]).shape.channels;
}

int labels_of_image(const Graph& graph) {
  const Op& loss = graph.ops().back();
  if (loss.traits().labels != Labels::kPixels) return 1;
  return graph.value(loss.inputs[0]).shape.pixels();
}

double intersection_over_union(std::span<const double> three_sums) {
  const double either = three_sums[1] + three_sums[2] - three_sums[0];
  return either > 0 ? three_sums[0] / either : -1;
}

double mean_iou(std::span<const double> class_sums) {
  double sum = 0;
  int classes = 0;
  for (std::size_t at = 0; at + 3 <= class_sums.size(); at += 3) {
    const double iou = intersection_over_union(class_sums.subspan(at, 3));
    if (iou < 0) continue;
    sum += iou;
    ++classes;
  }
  return classes > 0 ? sum / classes : 0;
}

}  // namespace lockstep
