#!/usr/bin/env python3
"""Makes the pictures of image_folder_test.cpp (needs Pillow and numpy): make_pictures.py [OUTPUT_FOLDER].

All show the same ramps: red 3 x, green 4 y, blue 128; grey 2 (x + y). JPEG: 64 wide, 48 high; PNG: 8 x 6.
"""
import pathlib
import sys

import numpy as np
from PIL import Image

folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent


def ramps(width, height):
    y, x = np.mgrid[0:height, 0:width]
    colour = np.stack([3 * x, 4 * y, np.full_like(x, 128)], -1).astype(np.uint8)
    return Image.fromarray(colour), Image.fromarray((2 * (x + y)).astype(np.uint8))


colour, grey = ramps(64, 48)
colour.save(folder / "colour.jpg", quality=92)
colour.save(folder / "progressive.jpg", quality=92, progressive=True)
colour.convert("CMYK").save(folder / "cmyk.jpg", quality=92)
grey.save(folder / "grey.jpg", quality=92)

colour, grey = ramps(8, 6)
colour.save(folder / "colour.png")
colour.quantize(256).save(folder / "palette.png")
rgba = colour.copy()
rgba.putalpha(77)
rgba.save(folder / "transparent.png")
grey.save(folder / "grey.png")
Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "grey16.png")
Image.merge("LA", (grey, grey.point(lambda v: 255 - v))).save(folder / "grey_transparent.png")
