# Everything a contributor runs. It needs python3 and make: each target makes the virtual
# environment it uses, from pinned and hashed requirements, and keeps it until a pin changes.

VENV ?= .venv
# Two more than the cores of a small machine: many tests wait for servers and processes.
WORKERS ?= 4
TESTS ?= tests
# These cover core and engine, and are traced; to trace all others would take half as long again.
COVERING = tests/core tests/engine tests/inbound $(wildcard tests/channels/test_endpoint*.py)
PYTEST_ARGS ?=
BENCH_ARGS ?=
LOCK_ARGS ?=
SERVE_ARGS ?=
SEEDS ?= 1000
TIER ?= small
PROVE_ARGS ?=
FROM ?= 0

# A PYTHON that is named is taken at its word. Otherwise: the first of these that is new enough.
PYTHON_CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11)

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check -q
# Not compiled ahead: most of what is installed is never imported.
INSTALL_PINNED = $(PIP) install --no-compile --require-hashes
INSTALL_SELF = $(PIP) install --no-deps --no-build-isolation
PYTEST = $(BIN)/python -m pytest -m "not soak and not browser and not foreign and not prometheus and not rabbitmq" -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)
UV_COMPILE = $(BIN)/uv pip compile pyproject.toml -q --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header $(LOCK_ARGS)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: $(VENV)/.core ## Watch the limits at work, in a terminal and without any setup
	@$(BIN)/tactful demo

.PHONY: serve
serve: $(VENV)/.dev ## The service with its console on this machine, on a store in .serve/
	@test -e .serve/tactful.toml || $(BIN)/tactful init --dir .serve > /dev/null
	@$(BIN)/tactful serve --config .serve/tactful.toml $(SERVE_ARGS)

.PHONY: test
test: $(VENV)/.dev ## All tests but the long ones; core and engine at 95 % branch coverage or more
ifeq ($(TESTS),tests)
	$(PYTEST) $(COVERING) --cov
	$(PYTEST) $(TESTS) $(addprefix --ignore=,$(COVERING))
else
	$(PYTEST) $(TESTS)
endif

.PHONY: pages
pages: $(VENV)/.dev ## Open the pages in a real browser (needs Chromium or Chrome)
	$(BIN)/python -m pytest -m browser -n 2 $(PYTEST_ARGS) $(TESTS)

.PHONY: alerts
alerts: $(VENV)/.dev ## Try alert rules and dashboard with a real Prometheus (needs one)
	$(BIN)/python -m pytest -m prometheus $(PYTEST_ARGS) $(TESTS)

.PHONY: docs
docs: $(VENV)/.dev ## Play the commands in the pages, write down what they print, and the API
	$(BIN)/python -m tactful.http > docs/openapi.json
	$(BIN)/python -m tactful.http.reference docs/openapi.json > docs/api.md
	$(BIN)/python tests/docs/transcripts.py README.md $(wildcard docs/*.md docs/*/*.md)

.PHONY: dashboard
dashboard: $(VENV)/.dev ## Rewrite the dashboard and the table of metrics from the catalogue
	$(BIN)/python -m tactful.telemetry.dashboard deploy/grafana/tactful.json docs/metrics.md

.PHONY: foreign
foreign: $(VENV)/.dev ## Programs of others come in: swaks, Alertmanager, Django 6.1, Celery
	$(BIN)/python -m pytest -m foreign $(PYTEST_ARGS) $(TESTS)

.PHONY: brokers
brokers: $(VENV)/.dev ## Submissions and events over a real RabbitMQ (needs rabbitmq-server)
	$(BIN)/python -m pytest -m rabbitmq -n 2 --dist loadfile $(PYTEST_ARGS) $(TESTS)

.PHONY: quick
quick: $(VENV)/.dev ## The tests of core and engine only, without coverage and PostgreSQL
	$(PYTEST) -k "not postgres" $(wildcard tests/core tests/engine)

.PHONY: soak
soak: $(VENV)/.dev ## The long tests: many seeds, many crashes
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS) $(TESTS)

.PHONY: soak-api
soak-api: $(VENV)/.dev ## Those of the API alone: 20,000 calls good and bad, 6,000 steps beside a model
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS) tests/http

.PHONY: prove
prove: $(VENV)/.dev ## Break it on purpose and judge what is left (TIER=small, full or soak; PROVE_ARGS=...)
	$(BIN)/python -m proof --tier $(TIER) $(PROVE_ARGS)

.PHONY: sim
sim: $(VENV)/.core ## Play and judge random worlds on a virtual clock (SEEDS=1000 FROM=0)
	$(BIN)/python -m tactful.testing.swarm --seeds $(SEEDS) --from $(FROM)

.PHONY: check
check: $(VENV)/.dev ## Format, lint, types, layers and house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -m "not foreign" tests/house

.PHONY: format
format: $(VENV)/.dev ## Rewrite the sources in the house format and fix what can be fixed safely
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: bench
bench: $(VENV)/.dev ## Measure (BENCH_ARGS=... is handed on)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: bench-latency
bench-latency: $(VENV)/.dev ## Measure from submission to the 250, idle and under load (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.latency $(BENCH_ARGS)

.PHONY: bench-admission
bench-admission: $(VENV)/.dev ## Measure how fast much is admitted at once (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.admission $(BENCH_ARGS)

.PHONY: bench-limiter
bench-limiter: $(VENV)/.dev ## Measure the limiter on Valkey, beside libraries (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.limiter $(BENCH_ARGS)

.PHONY: bench-bloat
bench-bloat: $(VENV)/.dev ## Measure what PostgreSQL's tables become under a long load (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.bloat $(BENCH_ARGS)

.PHONY: bench-http
bench-http: $(VENV)/.dev ## Measure submissions through one API process (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.http $(BENCH_ARGS)

.PHONY: bench-sim
bench-sim: $(VENV)/.dev ## Measure the simulator beside others (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.simulation $(BENCH_ARGS)

.PHONY: bench-peers
bench-peers: $(VENV)/.dev ## Measure beside peers, each in an environment of its own (BENCH_ARGS=...)
	$(BIN)/python -m benchmarks.peers $(BENCH_ARGS)

.PHONY: bench-all
bench-all: $(VENV)/.dev ## Measure everything beside its peers, with figures and plots; 25 to 40 minutes
	$(BIN)/python -m benchmarks.everything $(BENCH_ARGS)

.PHONY: wheel
wheel: $(VENV)/.dev ## Build the wheel and the source archive into dist/
	$(BIN)/python -m hatchling build

.PHONY: smoke
smoke: $(VENV)/.made ## Install as a user would, in a new environment without any tool, and run it
	@tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && set -e && \
	$(BIN)/python -m venv "$$tmp/venv" && \
	new="$$tmp/venv/bin" && pip="$$new/python -m pip --disable-pip-version-check -q" && \
	$$pip install --require-hashes -r requirements/build.txt && \
	$$pip wheel --no-deps --no-build-isolation --wheel-dir "$$tmp" . && \
	rm -rf "$$tmp/venv" && $(BIN)/python -m venv "$$tmp/venv" && \
	$$pip install --require-hashes -r requirements/core.txt && \
	$$pip install --no-deps "$$tmp"/*.whl && $$pip check && \
	cp tests/house/smoke.py "$$tmp" && cd "$$tmp" && "$$new/python" -W error smoke.py && \
	"$$new/tactful" --version && \
	"$$new/tactful" demo --json --seed 1 > demo.json && "$$new/python" -m json.tool demo.json demo.txt && \
	echo "smoke: installed, imported and ran"

.PHONY: lock
lock: $(VENV)/.made ## Recompile the pins from pyproject.toml (LOCK_ARGS=--upgrade for newer ones)
	$(INSTALL_PINNED) -r requirements/lock.txt
	$(UV_COMPILE) -o requirements/core.txt
	$(UV_COMPILE) --group dev -c requirements/core.txt -o requirements/dev.txt
	$(subst compile pyproject.toml,compile,$(UV_COMPILE)) --group build -c requirements/dev.txt -o requirements/build.txt
	$(subst compile pyproject.toml,compile,$(UV_COMPILE)) --group lock -o requirements/lock.txt

.PHONY: clean
clean: ## Remove everything that the other targets have made
	rm -rf .venv .venv-* .serve dist build htmlcov .coverage .coverage.*
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks proof -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, in three steps. Each leaves a stamp, so that only a change repeats it.

$(VENV)/.made:
	@for python in $(PYTHON_CANDIDATES); do \
	  found=$$("$$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue; \
	  case "$$found" in \
	    2.* | 3.[0-9].* | 3.10.*) seen="$$seen $$python is $$found;" ;; \
	    *) echo "making $(VENV) with $$python ($$found)"; "$$python" -m venv $(VENV) && touch $@; exit ;; \
	  esac; \
	done; \
	echo "Tactful needs Python 3.11 or newer:$${seen:- none of $(PYTHON_CANDIDATES) runs;} name one with make PYTHON=..." >&2; \
	exit 1

$(VENV)/.core: $(VENV)/.made requirements/core.txt requirements/build.txt pyproject.toml
	$(INSTALL_PINNED) -r requirements/core.txt -r requirements/build.txt
	$(INSTALL_SELF) -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.made requirements/dev.txt pyproject.toml
	$(INSTALL_PINNED) -r requirements/dev.txt
	$(INSTALL_SELF) -e .
	@touch $(VENV)/.core $@
