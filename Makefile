# The front door: `make demo`, `make test`. Everything else is CMake (`cmake --preset release`).
JOBS ?= $(shell nproc)

.PHONY: deps build demo test clean

deps:
	@.setup/install.sh

build: deps
	@cmake --preset release >build-configure.log 2>&1 || { cat build-configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS)

clean:
	rm -rf build
