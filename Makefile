# The front door: `make demo`, `make test`. Everything else is CMake (`cmake --preset release`).
JOBS ?= $(shell nproc)
# Tests wait for one another's processes most of their time.
TEST_JOBS ?= $(shell expr $(JOBS) \* 3 / 2 + $(JOBS) % 2)
PRESET ?= release
# More for cmake: CI makes warnings errors.
CONFIGURE ?=

.PHONY: deps deps-test deps-gpu build demo test lint asan bench install clean

# $(call quietly,LOG,COMMAND): shows the command's output only if it fails.
quietly = $(2) >$(1) 2>&1 || { \
  grep -m 5 -A 12 -E "error:|Error|undefined reference|\*\*\*" $(1) || tail -n 40 $(1); \
  echo "The whole output is in $(1)"; exit 1; }

# What is missing of the compilers, libraries, MPI and oneDNN.
deps:
	@.setup/install.sh

deps-test:
	@.setup/install.sh --tests

# CUDA's compiler and libraries, into .deps/cuda/: for cmake --preset gpu. No device is needed.
deps-gpu:
	@.setup/install.sh --gpu

# build/release/lockstep, and the tests.
build: deps
	@mkdir -p build
	@$(call quietly,build/configure-$(PRESET).log,cmake --preset $(PRESET) $(CONFIGURE))
	@$(call quietly,build/build-$(PRESET).log,cmake --build --preset $(PRESET) -j $(JOBS))

# A ResNet-20 on real pictures on two ranks: killed, resumed, evaluated.
demo: build
	@jobs/demo.sh

test: deps-test build
	@ctest --test-dir build/release --output-on-failure --timeout 300 -j $(TEST_JOBS)

# What is not enforced does not hold: sources are as .clang-format says, includes go along the arrows.
lint: deps-test
	@clang-format --version | grep -q ' version 14\.' || { \
	  echo "make lint: clang-format 14 is needed, other versions format otherwise; here: $$(clang-format --version)"; exit 1; }
	@git ls-files '*.h' '*.cpp' '*.cu' '*.cuh' | xargs clang-format --dry-run --Werror
	@tests/rooms_test.sh

# The tests that need no MPI, under AddressSanitizer and UndefinedBehaviorSanitizer.
asan: deps
	@$(MAKE) --no-print-directory build PRESET=asan
	@ctest --test-dir build/asan --output-on-failure --timeout 600 -j $(JOBS) --label-exclude mpi

# The benchmarks of the README, about half an hour on an idle machine of 2 cores, an hour where it computes bf16: a step beside PyTorch's (tables and picture
# in build/bench/), a step beside its convolutions alone, the all-reduce beside MPI's. Brings PyTorch (about 5 GB)
# unless PYTHON=... has it.
bench: build
	@.setup/install.sh --bench
	@tests/bench/versus_torch.sh
	@build/release/lockstep bench step tests/bench/synthetic.cfg --primitives
	@build/release/lockstep launch -n 2 bench allreduce

# make install PREFIX=...: program, libraries of .deps, examples, scripts, man page; the tree may be moved.
PREFIX ?= $(HOME)/.local
install: build
	@cmake --install build/$(PRESET) --prefix "$(PREFIX)" >build/install.log && echo "lockstep is in $(PREFIX)/bin"

clean:
	rm -rf build
