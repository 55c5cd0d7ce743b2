# Every target sets up what it needs: a machine with make and Python 3.11 or newer is enough.
#   make demo        the tour                      make lint    ruff
#   make test        lint and the quick tests      make wheel   dist/tejat-*.whl
#   make test-full   also slow tests and oracles   make clean   remove all that make made
#   make evaluation  the whole report on a model: builds the corpus if there is none (an hour of two cores)
#   make tables      the tables of mini's card, factuality and safety anew; TABLES="--train --gpus 4": with post-training;
#                    TABLES=--rest: all other tasks of docs/EVALUATION.md
# PYTHON=/path/to/python3.12 chooses the interpreter; WORKERS=8 the number of test processes; MODEL=mini what is measured, LIMIT=32 items a task.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
WORKERS ?= 2
MODEL ?= mini
CORPUS ?= runs/corpus
TABLES ?=
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --no-warn-script-location -c constraints.txt
# The address of an index of CPU-only PyTorch builds, for test-full (see `oracles` in pyproject.toml).
TORCH_INDEX ?=

# pip's output as one dot for each package found, so that the wait shows progress in a terminal and stays short in a log.
PROGRESS := while IFS= read -r line; do case "$$line" in Collecting*) printf .;; "Installing collected"*) printf ' unpacking …';; esac; done; echo

.PHONY: help demo test test-full lint wheel evaluation tables clean

help:
	@sed -n '2,7s/^# \{0,1\}//p' Makefile

demo: $(VENV)/installed
	@$(VENV)/bin/tejat demo

# Most of these tests' time goes to compiling programs that run for milliseconds: LLVM is told not to polish them, and
# what one process has compiled another finds. `make test-full` runs what users run.
test: lint
	@JAX_PLATFORMS=cpu XLA_FLAGS="--xla_backend_optimization_level=0 $${XLA_FLAGS:-}" \
	  JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.jax_cache JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.3 \
	  $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile

test-full: lint $(VENV)/installed-oracles
	@JAX_PLATFORMS=cpu $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadfile -m ""

lint: $(VENV)/installed
	@$(VENV)/bin/ruff check .

wheel: $(VENV)/installed
	@$(PIP) wheel --quiet --no-deps --wheel-dir dist .
	@ls -l dist/*.whl

evaluation: $(CORPUS)/corpus.json
	@$(VENV)/bin/tejat eval $(MODEL) --suite all --corpus $(CORPUS) $(if $(LIMIT),--limit $(LIMIT))

tables: $(CORPUS)/corpus.json
	@$(VENV)/bin/python recipes/tables.py --model $(MODEL) --corpus $(CORPUS) $(TABLES)

$(CORPUS)/corpus.json: | $(VENV)/installed-data
	@$(VENV)/bin/tejat data build recipes/corpus.py --out $(CORPUS)

clean:
	@rm -rf $(VENV) build dist .jax_cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find tejat tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@command -v "$(PYTHON)" >/dev/null || \
	  { echo "make: $(PYTHON) is not on this machine; install Python 3.11 or newer, or give PYTHON=/path/to/python3." >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: Tejat needs Python 3.11 or newer and $(PYTHON) is $$("$(PYTHON)" --version); give PYTHON=/path/to/python3.11." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "make: $(PYTHON) cannot make virtual environments; install its venv package (Debian, Ubuntu: sudo apt-get install python3-venv)." >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV) (once, about 2 minutes) …"
	@$(INSTALL) -e '.[dev]' | { $(PROGRESS); }
	@touch $@

$(VENV)/installed-data: $(VENV)/installed
	@$(INSTALL) -e '.[dev,data]' | { $(PROGRESS); }
	@touch $@

$(VENV)/installed-oracles: $(VENV)/installed
	@echo "Installing PyTorch, Transformers, llama.cpp (compiled: 10 minutes), lm-eval and the TPU compiler for the oracles, once …"
	@$(INSTALL) $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -e '.[dev,oracles,data,ray,browser,eval,tpu]' | { $(PROGRESS); }
	@touch $@
