#pragma once
#include <memory>

#include "data/dataset.h"

namespace lockstep {

/// Pictures (JPEG, PNG), each with a mask: a PNG of the same name and size whose values are
/// classes, 8-bit grey or palette indices. In one of two arrangements:
///     PATH/train/images/NAME.jpg  PATH/train/masks/NAME.png     and PATH/val/...
///     PATH/train/NAME.jpg         PATH/trainannot/NAME.png      and PATH/val, PATH/valannot
///     (CamVid)
/// Samples are in the order of their names. options.ignore_label is what pixels without a class
/// have; options.classes how many classes there are (0: the training masks are all read to see).
/// @throws MissingFileError, DataError naming folder or file: no pictures, a picture without a
/// mask.
std::unique_ptr<Dataset> open_mask_folder(const DatasetOptions& options);

}  // namespace lockstep
