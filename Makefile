# Habits in one place. VENV may point to an existing virtual environment.
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup core run test check long lint golden bench accuracy docs page

setup:            ## a virtual environment with everything
	python3 -m venv $(VENV)
	$(BIN)/python -m pip install -c constraints.txt -e '.[test,report,dev]'

core:             ## the simulator's compiled core, in place (needs a C compiler; results are the same without)
	$(BIN)/python planner/serving/simulation/compiled/build.py

run:              ## the main job
	$(BIN)/planner solve scenarios/llama70b_qps50.yaml

test:             ## the whole suite
	$(BIN)/python -m pytest

check:            ## under a minute: style, types and the quick tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m "not slow and not golden" tests/test_layers.py tests/scenario tests/plan \
	  tests/sizing tests/workload tests/money tests/reporting/formats

long:             ## what takes many minutes: fuzzing, thousands of random fleets against brute force
	$(BIN)/python -m pytest --long -m long

lint:             ## style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

golden:           ## rewrite golden files; read the diff before you commit it
	$(BIN)/python -m pytest --regenerate-golden

bench:            ## medians of the benchmarks
	$(BIN)/python -m benchmarks

accuracy:         ## docs/reference/accuracy.md from the measurements (glibc keeps the fit's large arrays: half the time)
	MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 $(BIN)/python -m benchmarks.accuracy

docs:             ## the generated pages: CLI and scenario reference, counts of model classes
	$(BIN)/python -m benchmarks.cli_reference docs/reference/cli.md
	$(BIN)/python -m benchmarks.scenario_reference docs/reference/scenario.md
	$(BIN)/python -m benchmarks.sizing_reference docs/concepts/sizing.md

page:             ## planner/web/static from planner/web/page (needs node 20)
	cd planner/web/page && npm ci && npx tsc --noEmit && npm run build
