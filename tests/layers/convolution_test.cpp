#include "layers/cpu/convolution.h"

#include <gtest/gtest.h>

#include "layers/cpu/cpu_backend.h"
#include "layers/model.h"

namespace lockstep::cpu {
namespace {

struct Net {
  const char* name;
  ModelOptions options;
  Shape input;
};

std::vector<Net> nets() {
  std::vector<Net> all{{"resnet20", {}, {3, 32, 32}},
                       {"resnet50", {}, {3, 224, 224}},
                       {"resnext50", {}, {3, 224, 224}}};
  all[0].options.depth = 20;
  all[1].options.depth = all[2].options.depth = 50;
  all[2].options.family = "resnext";
  return all;
}

bool is_reference(const std::string& implementation) {
  return implementation.find("ref") != std::string::npos;
}

// Weights are packed once, for the chunk that the op likes. A batch's last chunk is smaller, and a
// phase may have another chunk: for these too there must be a real kernel.
TEST(Convolution, HasKernelsForEveryNumberOfImages) {
  for (const Net& net : nets()) {
    const Graph graph = build_model(net.options, net.input, 10);
    const LayoutKind best = best_layout(graph);
    std::vector<std::pair<LayoutKind, Storage>> ways{{LayoutKind::kNhwc, Storage::kF32}};
    if (best != LayoutKind::kNhwc) ways.emplace_back(best, Storage::kF32);
    if (has_kernels(graph, LayoutKind::kNhwc, Storage::kBf16))
      ways.emplace_back(LayoutKind::kNhwc, Storage::kBf16);
    for (const auto& [layout, activations] : ways)
      for (const Op& op : graph.ops()) {
        if (!std::holds_alternative<Conv2d>(op.attributes)) continue;
        const Convolution convolution(graph, op, layout, activations);
        const SingleThreaded one_thread;
        for (const int images : {1, 2, 3, 8}) {
          SCOPED_TRACE(std::string(net.name) + " " + op.name + ", layout " +
                       std::to_string(static_cast<int>(layout)) +
                       (activations == Storage::kBf16 ? ", bf16" : "") + ", images " +
                       std::to_string(images));
          EXPECT_FALSE(is_reference(convolution.forward(images).impl_info_str()));
          EXPECT_FALSE(is_reference(convolution.backward_weights(images).impl_info_str()));
          if (convolution.needs_data_gradient()) {
            EXPECT_FALSE(is_reference(convolution.backward_data(images).impl_info_str()));
          }
        }
      }
  }
}

}  // namespace
}  // namespace lockstep::cpu
