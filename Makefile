# Each target makes what it needs: `make demo` on a fresh machine is enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml CMakeLists.txt $(shell find cpp src -name '*.cpp' -o -name '*.h' -o -name '*.py' -o -name '*.pyi')

.PHONY: help demo test bench docs lint format symbols mutants wheel clean

help:
	@echo "make demo     gradients that explode and vanish, and each remedy; draw instep-demo.png"
	@echo "make test     run the tests"
	@echo "make bench    compare with the reference, NumPy and torch, and with the machine's limit"
	@echo "make docs     build the site in build/docs, warnings being errors"
	@echo "make lint     ruff, mypy, clang-format"
	@echo "make symbols  check what was compiled: kernels of one instruction set that cannot leak into"
	@echo "              another's, loops that ask for memory ahead"
	@echo "make mutants  break the kernels in many places and see the tests fail"
	@echo "make wheel    build sdist and wheel, and test the wheel in a clean environment"

# The package as users install it, with one of its extras.
$(VENV)/installed-%: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet ".[$*]"
	touch $@

demo: $(VENV)/installed-demo
	$(BIN)/instep demo

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

bench: $(VENV)/installed-test
	$(BIN)/instep bench

# Nothing is fetched; the sources of the pages are few, so all are read each time.
docs: $(VENV)/installed-docs
	$(BIN)/sphinx-build -W --keep-going -E -q -b html docs build/docs
	@echo "build/docs/index.html"

lint: $(VENV)/installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(shell find cpp -name '*.cpp' -o -name '*.h')

format: $(VENV)/installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(shell find cpp -name '*.cpp' -o -name '*.h')

symbols: $(VENV)/installed-lint
	$(BIN)/cmake -S . -B build/symbols -DSKBUILD_PROJECT_NAME=instep -DSKBUILD_PROJECT_VERSION=0 \
	  -Dpybind11_DIR=$$($(BIN)/python -m pybind11 --cmakedir) -DPython_EXECUTABLE=$(BIN)/python
	$(BIN)/cmake --build build/symbols --target kernels
	bash tests/check_kernels.sh build/symbols

# More than an hour: some 80 builds, each tested until something fails.
mutants: $(VENV)/installed-test $(VENV)/installed-lint
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tests/mutants.py

wheel: $(VENV)/installed-lint
	rm -rf build/dist build/clean
	$(BIN)/python -m build --outdir build/dist
	$(PYTHON) -m venv build/clean/venv
	cp -r tests docs README.md build/clean/
	build/clean/venv/bin/python -m pip install --quiet "$$(ls $(CURDIR)/build/dist/*.whl)[bench]" hypothesis
	cd build/clean && venv/bin/python -m pytest -c ../../pyproject.toml --rootdir . tests

clean:
	rm -rf $(VENV) build
