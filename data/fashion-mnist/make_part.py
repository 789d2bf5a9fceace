#!/usr/bin/env python3
"""Takes the first images and labels of Fashion-MNIST: make_part.py SOURCE_FOLDER [OUTPUT_FOLDER].

SOURCE_FOLDER holds the four original .gz files (Debian: package dataset-fashion-mnist). The same input
gives the same bytes: gzip stores neither a time nor a name.
"""
import gzip
import pathlib
import struct
import sys

PARTS = {"train": 10000, "t10k": 2000}


def take(source, target, count):
    data = gzip.decompress(source.read_bytes())
    dims = struct.unpack(f">{data[3]}I", data[4:4 + 4 * data[3]])
    header = data[:4] + struct.pack(f">{len(dims)}I", count, *dims[1:])
    item = 1
    for dim in dims[1:]:
        item *= dim
    values = data[len(header):len(header) + count * item]
    assert dims[0] >= count and len(values) == count * item, source
    with open(target, "wb") as file:
        with gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(header + values)


def main():
    source = pathlib.Path(sys.argv[1])
    target = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else pathlib.Path(__file__).parent
    for split, count in PARTS.items():
        for kind in ("images-idx3-ubyte", "labels-idx1-ubyte"):
            name = f"{split}-{kind}.gz"
            take(source / name, target / name, count)


if __name__ == "__main__":
    main()
