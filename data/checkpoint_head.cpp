#include "data/checkpoint_head.h"

#include "data/checkpoint_manifest.h"
#include "data/error.h"
#include "data/files.h"

namespace lockstep {

std::optional<CheckpointHead> newest_checkpoint_head(const std::filesystem::path& checkpoints) {
  const std::vector<std::int64_t> steps = list_checkpoints(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    const std::filesystem::path directory = checkpoints / checkpoint_name(*step);
    const std::filesystem::path manifest = directory / kManifestName;
    try {
      return CheckpointHead{
          directory,
          parse_manifest(read_text_file(manifest, kMostManifestBytes), manifest.string()).state};
    } catch (const Error&) {  // damaged: loading says so
    }
  }
  return std::nullopt;
}

}  // namespace lockstep
