#include "worker/comm/message_sum.h"

#include <vector>

#include "worker/comm/halving_doubling.h"
#include "worker/comm/ring_engine.h"

namespace lockstep {

namespace {

template <typename W, typename Engine>
class SumBy : public MessageSum {
 public:
  template <typename... Arguments>
  SumBy(const Channel& channel, std::size_t scratch, Arguments... arguments)
      : scratch_(scratch), engine_(channel, std::span<W>(scratch_), arguments...) {}
  void start(std::span<float> values, int tag, std::string_view name) override {
    engine_.start(values, tag, name);
  }
  bool progress() override { return engine_.progress(); }
  void abandon() override { engine_.abandon(); }

 private:
  std::vector<W> scratch_;
  Engine engine_;
};

template <typename W>
std::size_t scratch_values(std::size_t values, int ranks, SumMethod method,
                           const AllReduceOptions& options) {
  return method == SumMethod::kHalvingDoubling
             ? HalvingDoubling<float, W>::scratch_values(values, ranks)
             : ring_scratch_values<float, W>(values, ranks, options);
}

template <typename W>
std::unique_ptr<MessageSum> make(const Channel& channel, std::size_t values, SumMethod method,
                                 const AllReduceOptions& options) {
  const std::size_t scratch = scratch_values<W>(values, channel.size, method, options);
  if (method == SumMethod::kHalvingDoubling)
    return std::make_unique<SumBy<W, HalvingDoubling<float, W>>>(channel, scratch);
  return std::make_unique<SumBy<W, RingEngine<float, W>>>(
      channel, scratch, ring_segment<float>(options, values, channel.size), ring_window(options));
}

}  // namespace

std::unique_ptr<MessageSum> make_message_sum(const Channel& channel, std::size_t values,
                                             SumMethod method, const AllReduceOptions& options) {
  return options.wire == Wire::kBf16 ? make<Bf16>(channel, values, method, options)
                                     : make<float>(channel, values, method, options);
}

std::size_t message_sum_bytes(std::size_t values, int ranks, SumMethod method,
                              const AllReduceOptions& options) {
  return options.wire == Wire::kBf16
             ? sizeof(Bf16) * scratch_values<Bf16>(values, ranks, method, options)
             : sizeof(float) * scratch_values<float>(values, ranks, method, options);
}

}  // namespace lockstep
