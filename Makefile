# make run    set up, import the sample, run the platform once, show the newest reports
# make ui     the Dagster UI on 127.0.0.1:3000
# make test   the tests          make check  lint, types, import arrows
# make prove  the long proofs of the control plane and of the workflows, with figures
# make bench  speed, as ratios   make lock   pin the dependencies anew (needs uv)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := run
.PHONY: run ui test check prove bench lock clean

VENV ?= $(CURDIR)/.venv
BIN := $(VENV)/bin
export PORTFOLIO_HOME ?= $(CURDIR)/.portfolio
export PORTFOLIO_DAGSTER_STORAGE ?= $(PORTFOLIO_HOME)/dagster
export DAGSTER_HOME ?= $(CURDIR)
# one BLAS thread: more of them are slower on a busy small machine
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
INSTALLED := $(VENV)/.installed
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

run: $(INSTALLED)
	@$(BIN)/python -m sensors.run_now --sample sample_data

ui: $(INSTALLED)
	@$(BIN)/portfolio init >/dev/null
	@mkdir -p "$(PORTFOLIO_DAGSTER_STORAGE)"
	@echo "Dagster is at http://127.0.0.1:3000 (Ctrl-C ends it)"
	@$(BIN)/dagster dev --host 127.0.0.1 --port 3000 --workspace workspace.yaml

test: $(INSTALLED)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

prove: $(INSTALLED)
	@$(BIN)/python -m tests.simulation.prove
	@$(BIN)/python -m tests.simulation.instruments_prove

bench: $(INSTALLED)
	@$(BIN)/python -m benchmarks

lock:
	uv pip compile pyproject.toml --extra test --extra lint --extra peers --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-header --no-strip-extras -o requirements.lock

clean:
	rm -rf "$(VENV)" .portfolio build *.egg-info

# The first of these interpreters that is 3.11 or 3.12 makes the environment; PYTHON=... names another.
$(BIN)/python:
	@python=""; \
	for candidate in $${PYTHON:-python3.12 python3.11 python3 python}; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' 2>/dev/null; then python="$$candidate"; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "portfolio_platform needs Python 3.11 or 3.12, and none was found; install one, or name it: make run PYTHON=/path/to/python3.12" >&2; exit 2; \
	fi; \
	echo "making the environment with $$("$$python" --version), once; this takes a minute or two"; \
	"$$python" -m venv "$(VENV)"

$(INSTALLED): requirements.lock pyproject.toml | $(BIN)/python
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch "$@"
