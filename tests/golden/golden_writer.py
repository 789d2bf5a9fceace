"""Writes .golden files: text lines, a blank line, then raw little-endian values (see README.md)."""

import numpy


class GoldenWriter:
    def __init__(self, settings):
        self.settings = settings
        self.tensors = []

    def add(self, name, values, dtype):
        """`dtype` is "f32" where values are exact in it or compared loosely, else "f64"."""
        array = numpy.asarray(values, dtype={"f32": "<f4", "f64": "<f8"}[dtype])
        assert numpy.isfinite(array).all(), f"{name} is not finite"
        self.tensors.append((name, dtype, array))

    def write(self, path):
        lines = ["lockstep golden 1"]
        lines += [f"{key}={value}" for key, value in self.settings.items()]
        offset = 0
        for name, dtype, array in self.tensors:
            lines.append(" ".join(["tensor", name, dtype, str(offset), *map(str, array.shape)]))
            offset += array.nbytes
        with open(path, "wb") as file:
            file.write(("\n".join(lines) + "\n\n").encode())
            for _, _, array in self.tensors:
                file.write(array.tobytes())
