# Every command of this project. `make` alone prints the list.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Many tests wait for the processes that they start.
JOBS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 1))))
VERSION ?= Unreleased
# Each of pytest's processes would compile all the tests again, and mypy's, ruff's and ours all that they import.
unexport PYTHONDONTWRITEBYTECODE
# Files of this repository and what tests write are UTF-8, whatever the locale.
test test-quick test-bucket coverage soak steady lint fix docs: export LC_ALL := C.UTF-8
# See docs/adr/0083-a-second-try-in-continuous-integration.md
SECOND_TRY := $(if $(CI),--reruns 1)

.PHONY: help setup run serve test components tests-compiled test-quick test-bucket check coverage matrix soak steady lint fix bench compare docs deb wheels image release pins clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/.run: requirements/run.txt pyproject.toml scripts/make-venv
	@scripts/make-venv "$(PYTHON)" $(VENV) requirements/run.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	@scripts/make-venv "$(PYTHON)" $(VENV) requirements/dev.txt
	@touch $@

setup: $(VENV)/.dev ## make the virtual environment with everything for development

run: $(VENV)/.run ## start registry and accounts, http://localhost:5000 and :8080, with all they keep in ./data
	@exec $(BIN)/moorage up data

serve: $(VENV)/.run ## start the registry alone on http://127.0.0.1:5000, without accounts, with its data in ./data
	@exec $(BIN)/moorage serve

test: setup components ## run the tests (installs the real clients they use where it may)
	$(BIN)/pytest -m "not long" -n $(JOBS) --dist loadgroup -q $(SECOND_TRY)

components:
	@scripts/install-test-components

# One process compiles all tests with what pytest makes of `assert`; each of those that share the tests would.
# What is wrong with a test shows when it is run.
tests-compiled: setup
	-@$(BIN)/pytest --collect-only -qq > /dev/null

QUICK = auth cache config core http oci token_server web wiring work
WITH_SERVERS = $(addprefix tests/unit/,core/test_shared_sizes.py wiring/test_sampling.py \
	test_processes_under_test.py test_schema_reference.py)
test-quick: setup ## run the tests that start no server, under a minute
	$(BIN)/pytest -m "not long" $(QUICK:%=tests/unit/%) $(filter-out $(WITH_SERVERS),$(wildcard tests/unit/test_*.py)) \
		$(WITH_SERVERS:%=--ignore=%) -n $(JOBS) --dist loadgroup -q

STORED = push_blobs push_chunks push_manifests pull ranges repeated_closing deleting_what_is_listed damaged_blobs
test-bucket: setup ## run the tests of what a client can do over storage that can do no more than an object store
	MOORAGE_TEST_STORAGE=bucket $(BIN)/pytest $(STORED:%=tests/spec/test_%.py) -n $(JOBS) --dist loadgroup -q $(SECOND_TRY)

MEASURED ?= tests/unit tests/control tests/contract tests/property tests/spec
coverage: setup ## measure what the tests reach, but for those of whole processes, and write docs/coverage.md
	$(BIN)/pytest -m "not long" $(MEASURED) -n $(JOBS) --dist loadgroup -q --cov --cov-report=
	$(BIN)/python scripts/coverage_page.py $(MEASURED) $(if $(ROOMS),--rooms $(ROOMS))

soak: setup ## run the long tests (kill -9 storms, large images)
	$(BIN)/pytest -m long

RUNS ?= 10
LOOPS ?= 4
steady: setup ## run `make test` ten times beside four busy loops (RUNS, LOOPS): a wait that is too short shows
	@scripts/run-under-load $(RUNS) $(LOOPS) $(MAKE) --no-print-directory test SECOND_TRY=

lint: setup ## check style, types, import contracts and the generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src tests bench
	$(BIN)/lint-imports
	$(BIN)/python scripts/make_reference.py --check

fix: setup ## format, and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup components ## measure against Debian's docker-registry; writes docs/benchmarks.md
	$(BIN)/python bench/run.py

compare: setup components ## compare with the registries that are here; writes docs/comparison.md
	$(BIN)/python bench/compare.py

docs: setup ## write docs/reference from the code, and CHANGELOG.md from its fragments
	$(BIN)/python scripts/make_reference.py
	@printf '# Changelog\n\n<!-- towncrier release notes start -->\n' > CHANGELOG.md
	@$(BIN)/towncrier build --keep --version $(VERSION) --date - > /dev/null

check: lint test-quick ## what to run before each commit

matrix: setup ## run the quick tests on every Python from 3.11 on that this machine has
	@scripts/run-matrix

deb: setup ## build the Debian package into ./build
	@scripts/make-deb build

wheels: setup ## fetch all wheels for a site without a way out into ./build/wheels
	@scripts/make-wheels

image: setup ## build the container images into ./build/image (root, buildah, and mmdebstrap or BASE=IMAGE)
	@scripts/make-image

release: setup ## make all files of a release from the last commit into ./build/release (IMAGES=0: without images)
	@scripts/make-release

pins: setup ## compile requirements/*.in into pinned, hashed *.txt
	for name in run packaged alone dev; do $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate requirements/$$name.in -o requirements/$$name.txt; done

clean: ## remove what the commands above made (not ./data)
	rm -rf $(VENV) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
