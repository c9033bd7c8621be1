# Habits in one place. VENV may point to an existing virtual environment.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup run test lint golden bench accuracy docs

setup:            ## a virtual environment with everything
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test,report,dev]'

run:              ## the main job
	$(BIN)/planner solve scenarios/llama70b_qps50.yaml

test:             ## the whole suite
	$(BIN)/python -m pytest

lint:             ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

golden:           ## rewrite golden files; read the diff before you commit it
	$(BIN)/python -m pytest --regenerate-golden

bench:            ## medians of the benchmarks
	$(BIN)/python -m benchmarks

accuracy:         ## docs/accuracy.md from the measurements (glibc keeps the fit's large arrays: half the time)
	MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 $(BIN)/python -m benchmarks.accuracy

docs:             ## the generated pages: CLI and scenario reference, accuracy
	$(BIN)/python -m benchmarks.cli_reference docs/cli.md
	$(BIN)/python -m benchmarks.scenario_reference docs/scenario.md
