# `make demo` and `make test` are all that a newcomer needs; each does its own set-up.

BIN := .venv/bin

.PHONY: help demo test test-model check format types bench crash simulate docs setup clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: setup ## survey this repository with sandboxed plugins, kill the daemon half-way, see it resume
	@$(BIN)/python examples/survey/demo.py

test: setup ## everything that CI runs: lint, types, import contracts, and all tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest

test-model: setup ## a hundred intents to a real, very small model, offline (its set-up builds for some ten minutes, once)
	@sh tools/setup_model.sh
	ORCHESTRAL_MODEL_PYTHON=.venv-model/bin/python $(BIN)/pytest tests/model -q -s

check: test ## make test, and build the wheel
	$(BIN)/python -m build --wheel --no-isolation --outdir build/check .

format: setup ## format the code, and mend what lint can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup ## write the generated parts of the documents again
	$(BIN)/python tools/generate_docs.py

bench: setup ## every ratio of benchmarks/README.md, against floors and peers, in one run
	$(BIN)/python -m benchmarks

crash: setup ## the long crash suite: a real daemon, killed 300 times
	ORCHESTRAL_KILLS=300 $(BIN)/pytest tests/crash -q

simulate: setup ## the long simulation: 500,000 scenarios from any seed, or from SEED the one that failed
	cd tests && ../$(BIN)/python -m simulation $(if $(SEED),--seed $(SEED),--seeds 500000)

constraints/dev.txt: pyproject.toml
	uv pip compile -q pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o $@

constraints/model.txt: pyproject.toml
	uv pip compile -q --group model --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o $@

constraints/runtime.txt: pyproject.toml
	uv pip compile -q pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate -o $@

setup:
	@sh tools/setup.sh

clean: ## remove what setup and the tests made
	rm -rf .venv .venv-model build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
