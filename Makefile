# What a developer or a new user types. Everything runs inside .venv, which `setup` makes from the hashed lock.
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo up test lint format lock bench clean

setup: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@sh .ci/install "$(VENV)"
	@touch $(STAMP)

demo: setup  ## simulated market, collectors and Dagster on this machine, until Ctrl-C
	@$(BIN)/tickhouse demo

up: setup  ## collectors of tickhouse.toml and Dagster, until Ctrl-C
	@$(BIN)/tickhouse up

test: setup
	@# Four workers also on two cores: the tests with real processes wait more than they compute.
	@# Our modules are compiled once, not by each of the hundreds of processes that the tests start.
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 4 --dist loadscope --no-loadscope-reorder

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

lock:  ## renew requirements.lock from pyproject.toml (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-strip-extras --extra dev --upgrade -o requirements.lock

bench: setup  ## every figure the project claims, as commands that print it
	@for file in benchmarks/*.py; do name=$$(basename $$file .py); echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit 1; done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
