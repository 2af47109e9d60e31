# A fresh machine needs Python 3.11 or newer and make; uv is used where it is there.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

ifneq ($(shell command -v uv 2>/dev/null),)
  CREATE = uv venv --quiet --allow-existing --python $(PYTHON) $(VENV)
  INSTALL = uv pip install --quiet --compile-bytecode --python $(BIN)/python
else
  CREATE = $(PYTHON) -m venv $(VENV)
  INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
endif

.PHONY: demo test test-slow lint types clean

demo: $(VENV)/.installed ## Run everything on the embedded sample and say where the report is
	$(BIN)/narcf-geo run --sample -C demo

test: $(VENV)/.installed-test ## Run the test suite
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-slow: $(VENV)/.installed-test ## Run what takes minutes, with all checkers
	$(INSTALL) -e '.[test,checks,parquet]'
	$(BIN)/python -m pytest -q -m slow

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

$(VENV)/bin/python:
	$(CREATE)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) -e '.[test]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo build *.egg-info
