# SPDX-License-Identifier: Apache-2.0
import os

from spack_repo.builtin.build_systems.cmake import CMakePackage

from spack.package import *


class Lockstep(CMakePackage):
    """Distributed training of deep residual networks on CPU clusters: model-parallel stages,
    recomputation, synchronized batch norm, and HDF5 checkpoints that resume after any fault."""

    # The sources are the checkout that this recipe lies in.
    git = "file://" + os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 5))
    version("main", branch="main")

    license("Apache-2.0")

    variant("jpeg", default=True, description="Read JPEG pictures")
    variant("png", default=True, description="Read PNG pictures and masks")

    depends_on("c", type="build")
    depends_on("cxx", type="build")
    depends_on("cmake@3.24:", type="build")

    depends_on("mpi")  # ranks may be lost without a restart where it has ULFM, as Open MPI from 5 on
    depends_on("onednn@3.2: cpu_runtime=omp")
    depends_on("tbb")
    depends_on("hdf5 ~mpi")
    depends_on("boost@1.74: +program_options")
    depends_on("zlib-api")
    depends_on("nlohmann-json")
    depends_on("spdlog")
    depends_on("xxhash")
    depends_on("libjpeg-turbo", when="+jpeg")
    depends_on("libspng", when="+png")
    depends_on("googletest", type="test")

    def cmake_args(self):
        args = [self.define("BUILD_TESTING", self.run_tests)]
        for variant, header, library in (
            ("jpeg", "TURBOJPEG_INCLUDE_DIR", "TURBOJPEG_LIBRARY"),
            ("png", "SPNG_INCLUDE_DIR", "SPNG_LIBRARY"),
        ):
            if not self.spec.satisfies("+" + variant):  # found on the host, it would be used all the same
                args += [self.define(header, False), self.define(library, False)]
        return args
