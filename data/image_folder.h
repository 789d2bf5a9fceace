#pragma once
#include <memory>

#include "data/dataset.h"

namespace lockstep {

/// JPEG and PNG files in one folder per class, read and decoded when asked for:
///     PATH/train/CLASS/*.jpg  PATH/val/CLASS/*.jpg     or, for one split, PATH/CLASS/*.jpg
/// Classes are the sub-folders' names in byte order (for val: of train, where that is there); files
/// may lie deeper. Samples are in the order of (class, path). Names that start with a dot are
/// passed over.
/// @throws MissingFileError, DataError naming the folder: no class, a class without a picture, a
///         class of validation that training lacks.
std::unique_ptr<Dataset> open_image_folder(const DatasetOptions& options);

}  // namespace lockstep
