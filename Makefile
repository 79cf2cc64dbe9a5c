# Two commands: `make demo` trains and compares on the built-in road network, `make test` runs the whole test suite.
# Everything is installed into .venv on the first call; a second call installs nothing.

PYTHON ?= python3
# The interpreter is named by a relative path, so that a checkout below a folder with a blank in its name works.
VENV := .venv/bin/python
PIP := $(VENV) -m pip --disable-pip-version-check install --quiet --constraint .github/constraints.txt
# What is tested; nothing stands for all that pyproject.toml names: the tests, and the examples in the docstrings.
TESTS ?=

PYG ?=

.PHONY: browser cases coverage demo dist-check docs test test-fast test-lowest pyg-tests lint format bench reliability clean help

help:
	@echo "make demo      compare sequence and graph models on the simulated road network; the report lands in demo/"
	@echo "make test      the whole test suite, docstring examples among it; TESTS=tests/ops for a part of it"
	@echo "make test-fast the tests that take no more than some seconds each"
	@echo "make test-lowest  the fast tests with the lowest versions that pyproject.toml allows, in .venv-lowest"
	@echo "make coverage  the lines of gnnkit/ that the fast tests run; the files below 85% are listed"
	@echo "make dist-check  builds sdist and wheel, and uses the wheel in an empty environment"
	@echo "make pyg-tests PYG=...  PyG's own tests on gnnkit's layers, from a checkout of PyG"
	@echo "make browser   a Chromium for the tests of the report, where there is none (Debian, as root)"
	@echo "make cases     what strangers' cases say, before and now; the table lands in tests/cases/CASES.md"
	@echo "make reliability  kills, damaged files, fuzzing and more, counted in tests/RELIABILITY.md; ONLY=kills for a part"
	@echo "make docs      the pages of this repository and of the docstrings as a site; it lands in site/"
	@echo "make lint      ruff (format and lint) and pyright"
	@echo "make bench     gnnkit against its peers; rows and table land in benchmarks/"

demo: .venv/installed
	$(VENV) -m gnnkit compare --out demo

# One process a core, each on one thread: two that spin on one core wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(VENV) -m pytest -n logical --dist worksteal

test: .venv/installed-scatter
	$(PYTEST) $(TESTS)

test-fast: .venv/installed-scatter
	$(PYTEST) -m "not slow and not browser" $(or $(TESTS),tests)

# torch stands beside the list, as it has builds of its own: TORCH=2.13.0 takes another than the lowest.
TORCH ?= 2.9.0
LOWEST := .venv-lowest/bin/python

test-lowest: .venv-lowest/installed
	OMP_NUM_THREADS=1 $(LOWEST) -m pytest -n logical --dist worksteal -m "not slow and not browser" $(or $(TESTS),tests)

.venv-lowest/installed: pyproject.toml .github/constraints-lowest.txt
	@echo "Installing the lowest versions into .venv-lowest (once)"
	$(PYTHON) -m venv .venv-lowest
	$(LOWEST) -m pip --disable-pip-version-check install --quiet torch==$(TORCH)
	$(LOWEST) -m pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: \
		--requirement .github/constraints-lowest.txt
	$(LOWEST) -m pip --disable-pip-version-check install --quiet --no-deps --editable .
	@touch $@

coverage: .venv/installed-dev
	OMP_NUM_THREADS=1 $(VENV) -m coverage run --source=gnnkit -m pytest -n0 -m "not slow and not browser" $(TESTS)
	$(VENV) -m coverage report --skip-covered --sort=cover

dist-check: .venv/installed-dev
	$(VENV) .github/dist_check.py

# GNNKIT_CASES names the folder of the cases; the default lies beside the checkout.
cases: .venv/installed-dev
	GNNKIT_CASES_TABLE=tests/cases/CASES.md $(VENV) -m pytest tests/cases

# Hours on a small machine; what was not run stays as it was measured before.
reliability: .venv/installed-dev
	OMP_NUM_THREADS=1 $(VENV) -m tests.reliability.page $(if $(ONLY),--only $(ONLY))

pyg-tests: .venv/installed-dev
	@test -n "$(PYG)" || { echo "name a checkout of PyG, or a git directory of it: make pyg-tests PYG=pytorch_geometric" >&2; exit 2; }
	$(VENV) tests/layers/pyg_suite.py $(PYG)

# A warning is an error: a link that leads nowhere, a docstring that cannot be read.
docs: .venv/installed-docs
	NO_MKDOCS_2_WARNING=1 $(VENV) -m mkdocs build --strict --config-file .github/docs/mkdocs.yml

lint: .venv/installed-dev
	$(VENV) -m ruff format --check gnnkit tests examples benchmarks .github
	$(VENV) -m ruff check gnnkit tests examples benchmarks .github
	$(VENV) -m pyright

format: .venv/installed-dev
	$(VENV) -m ruff format gnnkit tests examples benchmarks .github
	$(VENV) -m ruff check --fix gnnkit tests examples benchmarks .github

# The tests of the report open it in a browser. Debian's own: no download that the system does not know of.
browser:
	@for name in chromium chromium-browser google-chrome-stable google-chrome; do \
		if command -v $$name >/dev/null; then exit 0; fi; \
	done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium (once)"; \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else \
		echo "no Chromium, and no root or no apt-get to install it: the browser tests will be skipped, or fail in CI" >&2; \
	fi

bench: .venv/installed-bench
	$(VENV) benchmarks/run.py

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml .github/constraints.txt
	@echo "Installing gnnkit and its pinned dependencies into .venv (once)"
	$(PIP) --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing the development tools into .venv (once)"
	$(PIP) --editable ".[dev]"
	@touch $@

.venv/installed-docs: .venv/installed
	@echo "Installing the tools of the site into .venv (once)"
	$(PIP) --editable ".[docs]"
	@touch $@

# torch-scatter imports torch while it builds, so it cannot be built in isolation. It turns ninja off and would compile
# on one core: setuptools is told to build its parts side by side.
.venv/installed-scatter: .venv/installed-dev
	@echo "Building torch-scatter from source (once; some minutes, on all cores)"
	@printf '[build_ext]\nparallel = %s\n' "$$(nproc 2>/dev/null || echo 2)" > .venv/build.cfg
	DIST_EXTRA_CONFIG="$$PWD/.venv/build.cfg" $(PIP) --no-build-isolation torch-scatter
	@touch $@

# PyG-Temporal is a peer to be timed, and its dependencies have no wheels for this torch: one module of it is loaded by path.
.venv/installed-bench: .venv/installed-dev
	$(PIP) --no-deps torch-geometric-temporal==0.56.2
	@touch $@

clean:
	rm -rf .venv .venv-lowest demo site .pytest_cache .ruff_cache
