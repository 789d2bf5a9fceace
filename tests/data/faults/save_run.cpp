// save_run CHECKPOINTS STEP: saves a checkpoint of two shards as training does, and removes older ones.
// Every value of every tensor is STEP. Exit code 0: published; 74: it failed, and said so.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "data/checkpoint.h"
#include "data/error.h"

using namespace lockstep;

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  const std::filesystem::path checkpoints = argv[1];
  const TrainingState state{.step = std::atoll(argv[2])};
  try {
    remove_stale_temporaries(checkpoints);
    const auto directory = temporary_checkpoint_directory(checkpoints, state.step);
    const std::vector<float> values(3000, static_cast<float>(state.step));
    const TensorView weight{"parameters/weight", {30, 100}, values};
    const TensorView momentum{"momentum/weight", {30, 100}, values};
    const std::vector<std::string> reports{write_shard(directory, 0, std::span(&weight, 1)),
                                           write_shard(directory, 1, std::span(&momentum, 1))};
    publish_checkpoint(checkpoints, state, reports);
    prune_checkpoints(checkpoints, 1, std::nullopt);
    return 0;
  } catch (const Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_code() == ExitCode::kIo ? 74 : 70;
  }
}
