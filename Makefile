# Every target does its own set-up; a second one finds it done.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

ARGS ?=
PORT ?=
NEURAL ?= --neural
NOTEBOOK ?= --notebook
DOCS ?= --docs
SETUP := bash deployments/setup.sh
BIN := JAVA_HOME="$(CURDIR)/.venv/java" .venv/bin
KERNEL := --KernelManager.transport_encryption=auto
COMPILE := --quiet --universal --generate-hashes --python-version 3.11
# As PRIVATE in flows/child_server.py: nothing asks anybody outside.
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT := false
export PREFECT_SERVER_UI_V2_ENABLED := false
# Where it is set, each process compiles all that it imports: half the time that it takes to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo train notebook lab docs pictures serve services neural test lint format new-model lock audit sbom ui mlflow minio up status down deploy bench bench-check benchmarks clean distclean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' Makefile

setup: ## Make .venv with the locked packages and find Java; does nothing the second time; PYTHON=python3.12 chooses
	@$(SETUP)

demo: setup ## Make sample data, then train, evaluate, publish and recommend on it, and make the model the champion if there is none
	$(BIN)/python flows/demo.py --json data/sample/result.json
	@echo 'Type make serve to ask the model, and make help to see what else there is.'

train: setup ## Train on the Electronics reviews, which are downloaded once; flags go in ARGS="…"
	$(BIN)/python flows/train.py $(ARGS)

notebook: ## Run the notebooks, and write them with what they show as pages to data/notebooks
	@$(SETUP) --notebook
	$(BIN)/jupyter nbconvert $(KERNEL) --execute --to html --output-dir data/notebooks \
		--template page --TemplateExporter.extra_template_basedirs=notebooks notebooks/*.ipynb

lab: ## Open the notebooks in JupyterLab, on PORT (8888)
	@$(SETUP) --notebook
	$(BIN)/jupyter lab $(KERNEL) --no-browser --allow-root --port $(or $(PORT),8888) --LabApp.news_url=None \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --LabApp.extension_manager=readonly notebooks

docs: ## Write the documentation as pages to data/docs; fails on a link or reference that leads nowhere; ARGS="-b linkcheck" asks other hosts too
	@$(SETUP) --docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet docs data/docs $(ARGS)

pictures: demo ## Take the pictures of the README, of what the demo made, with Chromium
	@$(SETUP) --browser
	$(BIN)/python -m docs.pictures

serve: setup ## Answer from the champion of the store, with a page to try it, on PORT (8000); flags go in ARGS="…"
	.venv/bin/python -m serving $(if $(PORT),--port $(PORT)) $(ARGS)

services: ## Build MinIO, versitygw, toxiproxy and vegeta, for tests and benchmarks, with Go; about 5 minutes the first time
	@$(SETUP) --services

neural: ## Install PyTorch, which trains the neural models; 3 GB, and 6 GB installed
	@$(SETUP) --neural

test: ## Run all tests, one process more than cores, since many wait for servers; narrow them with ARGS="tests/storage -k local", see one at a time with ARGS="-n 0"
	@$(SETUP) --browser --services $(NOTEBOOK) $(DOCS) $(NEURAL)
	$(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, formatting and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

format: setup ## Sort imports and format the code
	.venv/bin/ruff check --fix --select I
	.venv/bin/ruff format

new-model: setup ## Write a kind of model to begin with, its test and its line in the registry, and say what to do next: NAME=liked
	@.venv/bin/python -m deployments.new_model "$(NAME)"

lock: setup ## Pin all requirements again, those of serving and the extras to the same versions; ARGS="--upgrade" takes newer ones
	.venv/bin/uv pip compile $(COMPILE) requirements.in -o requirements.txt $(ARGS)
	.venv/bin/uv pip compile $(COMPILE) -c requirements.txt serving/requirements.in -o serving/requirements.txt $(ARGS)
	.venv/bin/uv pip compile $(COMPILE) -c requirements.txt models/neural-requirements.in -o models/neural-requirements.txt $(ARGS)
	.venv/bin/uv pip compile $(COMPILE) -c requirements.txt -c models/neural-requirements.txt \
		notebooks/requirements.in -o notebooks/requirements.txt $(ARGS)
	.venv/bin/uv pip compile $(COMPILE) -c requirements.txt -c models/neural-requirements.txt -c notebooks/requirements.txt \
		docs/requirements.in -o docs/requirements.txt $(ARGS)

audit: setup ## Look for known vulnerabilities in all locks; fails if some packages could not be looked up, and says so
	@$(BIN)/python -m deployments.audit $(ARGS)

sbom: setup ## Write what the images hold, as CycloneDX, to data/sbom, with the packages that this Python has
	@mkdir -p data/sbom
	@for image in training serving; do \
		$(BIN)/python -m deployments.sbom $$image > data/sbom/$$image.cdx.json.part; \
		mv data/sbom/$$image.cdx.json.part data/sbom/$$image.cdx.json; \
	done

ui: setup ## Serve the Prefect UI, on PORT (4200)
	PREFECT_UI_API_URL=http://127.0.0.1:$(or $(PORT),4200)/api .venv/bin/prefect server start --port $(or $(PORT),4200)

mlflow: setup ## Serve the MLflow UI over mlflow.db, on PORT (5000)
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false .venv/bin/mlflow ui --backend-store-uri sqlite:///mlflow.db --workers 1 --port $(or $(PORT),5000)

minio: services ## Serve MinIO with its console as a store, on PORT (9000) and the one above
	.venv/bin/python -m deployments.minio --folder data/minio --port $(or $(PORT),9000)

up: services ## Start Prefect, Dask, Spark, MinIO and MLflow on this machine, detached, and wait until all can be used
	$(BIN)/python -m deployments.stack up

status: setup ## Show what `make up` started; exit code 0 if all of it can be used, else 2
	@$(BIN)/python -m deployments.stack status

down: setup ## Stop what `make up` started
	$(BIN)/python -m deployments.stack down

deploy: setup ## Register the deployments of prefect.yaml with the server at PREFECT_API_URL, and list them
	@$(BIN)/python -m deployments.register

bench: setup ## Run the benchmarks of speed, for an hour or more on a quiet machine, and write docs/benchmarks.md; flags go in ARGS="…"
	$(BIN)/python -m benchmarks.all $(ARGS)

bench-check: setup ## Run them again, and fail where a ratio got worse than the one that is kept; flags go in ARGS="…"
	$(BIN)/python -m benchmarks.all --check $(ARGS)

benchmarks: ## List the benchmarks; each runs as python -m benchmarks.NAME
	@for file in $$(grep -l __main__ benchmarks/[a-z]*.py); do \
		name=$${file#benchmarks/}; \
		printf '  %-12s %s\n' "$${name%.py}" "$$(sed -n '1s/^"""\([^"]*\).*/\1/p' "$$file")"; \
	done

clean: ## Remove caches and build leftovers; data, models and runs stay
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache build *.egg-info spark-warehouse
	find . -path ./.venv -prune -o -path ./data -prune -o -type d -name __pycache__ -exec rm -rf {} +

distclean: clean ## Remove .venv as well; data, models and runs stay
	rm -rf .venv .setup
