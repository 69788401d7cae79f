# make run    install what the app needs and start it
# make test   install the test tools too, then lint and test on two cores; what measures runs alone (.ci/run calls this)
# make fast   the tests that take under a minute together, for every few lines
# make slow   the slower proofs; make matrix  kill -9 and resume over every combination; make docs  the tables in the docs
# make verify-registry   compare the list of open models with the Hub

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
NAMES := python3 python3.14 python3.13 python3.12 python3.11
BROWSERS := chromium chromium-browser google-chrome google-chrome-stable
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input

.PHONY: run test fast slow matrix docs browser verify-registry
.DELETE_ON_ERROR:

run: $(VENV)/.installed
	$(BIN)/python app.py

test: $(VENV)/.installed-tests browser
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not alone and not slow and not gpu"
	$(BIN)/python -m pytest -m "alone and not slow and not gpu"

fast: $(VENV)/.installed-tests
	$(BIN)/python -m pytest -m "not proof and not browser and not slow and not gpu"

slow: $(VENV)/.installed-tests browser
	$(BIN)/python -m pytest -m "slow and not gpu" --timeout 3600

matrix: $(VENV)/.installed
	$(BIN)/python benchmarks/kill_resume_matrix.py

docs: $(VENV)/.installed
	$(BIN)/python -m llm_testing options --into README.md
	$(BIN)/python -m llm_testing options --into SECURITY.md

# Compares the list of open models with the Hub, where it can be reached.
verify-registry: $(VENV)/.installed
	$(BIN)/python -m benchmarks.verify_registry

# The stamps lie inside the virtual environment, so deleting that folder is a clean start.
$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.installed-tests: tests/requirements.txt $(VENV)/.installed
	$(PIP) install -r tests/requirements.txt
	@touch $@

$(VENV)/bin/python:
	@for name in $(PYTHON) $(NAMES); do \
	  if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making the virtual environment $(VENV) with $$name."; \
	    $$name -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	    echo "$$name could not make a virtual environment; on Debian the package python3-venv is needed." >&2; exit 1; \
	  fi; \
	done; \
	echo "LLM-Testing needs Python 3.11 or newer. None of these is one: $(PYTHON) $(NAMES)." >&2; \
	echo "Install one, or name it: make $(or $(MAKECMDGOALS),run) PYTHON=/path/to/python3.11" >&2; exit 1

# The browser tests press the page's buttons in Chromium; without one they are skipped and say why.
browser:
	@for name in $(BROWSERS); do command -v $$name >/dev/null 2>&1 && exit 0; done; \
	if ! command -v apt-get >/dev/null 2>&1; then \
	  echo "There is no Chromium and no apt-get here: the browser tests will be skipped."; \
	elif [ "$$(id -u)" != 0 ]; then \
	  echo "There is no Chromium here, and only root can install it (apt-get install chromium):" \
	    "the browser tests will be skipped."; \
	else \
	  export DEBIAN_FRONTEND=noninteractive; \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } </dev/null >/dev/null \
	    || echo "apt-get could not install chromium: the browser tests will be skipped."; \
	fi
