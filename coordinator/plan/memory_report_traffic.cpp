#include <bit>

#include "coordinator/plan/memory_report.h"

namespace lockstep {

namespace {

/// Sent by a rank in a ring: 2(P-1) of P chunks.
std::size_t sent_by_ring(std::size_t bytes, int ranks) {
  const auto p = static_cast<std::size_t>(ranks);
  return 2 * (p - 1) * bytes / p;
}

/// Sent by a rank in recursive doubling: all bytes to every partner, and once more to the rank
/// whose part it took over, where the ranks are no power of two.
std::size_t sent_by_doubling(std::size_t bytes, int ranks) {
  const auto p = static_cast<unsigned>(ranks);
  const int partners = std::bit_width(p) - 1;
  return bytes * static_cast<std::size_t>(partners + (std::has_single_bit(p) ? 0 : 1));
}

}  // namespace

std::size_t Traffic::gradient_bytes() const {
  std::size_t sum = 0;
  for (std::size_t bytes : bucket_bytes) sum += bytes;
  return sum;
}

Traffic step_traffic(const Plan& plan, int ranks, int micro_batches,
                     const AllReduceOptions& options) {
  Traffic traffic;
  for (const PlanItem& item : plan.items) {
    const auto* message = std::get_if<Message>(&item.what);
    if (!message || message->buffer == kNone) continue;
    if (message->kind == MessageKind::kStartSend) {
      ++traffic.stage_messages;
      traffic.stage_bytes_sent +=
          plan.buffer(message->buffer).image_bytes * static_cast<std::size_t>(plan.max_images);
    }
    if (message->kind != MessageKind::kAllReduceSums) continue;
    const std::size_t bytes = plan.buffer(message->buffer).bytes;
    if (message->buffer == plan.loss_sums) {
      traffic.loss_bytes += bytes;
      continue;
    }
    const auto times = static_cast<std::size_t>(item.last_micro_batch_only ? 1 : micro_batches);
    const std::size_t sent =
        bytes <= options.small_bytes ? sent_by_doubling(bytes, ranks) : sent_by_ring(bytes, ranks);
    traffic.sync_messages += static_cast<int>(times);
    traffic.sync_bytes += times * bytes;
    traffic.sync_bytes_sent += times * sent;
  }
  for (const Bucket& bucket : plan.buckets) {
    traffic.bucket_bytes.push_back(bucket.count * sizeof(float));
    const std::size_t carried = bucket.count * (options.wire == Wire::kBf16 ? 2 : sizeof(float));
    traffic.gradient_bytes_sent += sent_by_ring(carried, ranks);
  }
  return traffic;
}

}  // namespace lockstep
