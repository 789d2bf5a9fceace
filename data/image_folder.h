#pragma once
#include <memory>
#include <span>
#include <string>

#include "data/dataset.h"

namespace lockstep {

/// JPEG and PNG files in one folder per class, read and decoded when asked for:
///     PATH/train/CLASS/*.jpg  PATH/val/CLASS/*.jpg     or, for one split, PATH/CLASS/*.jpg
/// Classes are the sub-folders' names in byte order (for val: of train, where that is there); files
/// may lie deeper, also in folders that links lead to; each folder is read once for a class, so links in a circle are harmless.
/// Samples are in the order of (class, path). Names that start with a dot are passed over. Other files that are no
/// pictures, and links to what is read already, are passed over and counted in info().warnings.
/// @throws MissingFileError, DataError naming the folder: no class, a class without a picture, a
///         class of validation that training lacks.
std::unique_ptr<Dataset> open_image_folder(const DatasetOptions& options);

/// Pictures without labels (all have 0): files, whatever their names end with, and folders with all pictures below them,
/// those sorted, as above. Named as in `paths`, in their order.
/// @throws MissingFileError; DataError naming a folder without pictures.
std::unique_ptr<Dataset> open_pictures(std::span<const std::string> paths);

}  // namespace lockstep
