# Every target starts from nothing: the virtual environment comes from a lock with hashes, what the
# machine lacks is brought by `toolkit setup`. Where all is there, neither changes anything.
#   make release IMAGES='pytorch-*-arm64' REGISTRY=localhost:5000 ARGS='--jobs 4'

VENV     ?= .venv
REGISTRY ?= localhost:5000
SETUP    ?= yes
IMAGES   ?=
BUILDER  ?=
ARGS     ?=
export REGISTRY SETUP BUILDER
# What Python compiles is kept beside it: else each start would compile hundreds of modules anew.
unexport PYTHONDONTWRITEBYTECODE

TOOLKIT = $(VENV)/bin/python -m toolkit
# Patterns are quoted, so that the shell does not expand them against files.
PATTERNS = $(foreach pattern,$(IMAGES),'$(pattern)')

.DEFAULT_GOAL := help
.PHONY: help venv devenv setup doctor plan render build verify release stage publish batch start tables lock upgrade report data smoke test unit check bench torture clean uninstall

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  Variables: IMAGES='GLOB …'  REGISTRY=HOST[:PORT][/PATH]  BUILDER=NAME  SETUP=no  ARGS='--option …'"

venv:
	@scripts/venv.sh $(VENV) locks/toolkit.txt locks/dev.txt

devenv:
	@scripts/venv.sh $(VENV) locks/dev.txt

setup: venv ## Bring this machine the engine, Buildx, emulation, registry and base images.
	@$(TOOLKIT) setup
	@$(TOOLKIT) bases

doctor: venv ## Show what this machine has and lacks, with the line that mends it.
	@$(TOOLKIT) doctor $(ARGS)

plan: venv ## Show what a release would do and why; change nothing.
	@$(TOOLKIT) plan $(PATTERNS) $(ARGS)

render: venv ## Write the Dockerfiles and contexts that would be built to dist/rendered.
	@$(TOOLKIT) render $(PATTERNS) --out dist/rendered $(ARGS)

build: venv ## Build and verify into .cache/layouts; publish nothing.
	@$(TOOLKIT) setup
	@$(TOOLKIT) build $(PATTERNS) $(ARGS)

verify: venv ## Prove IMAGE=REFERENCE or the layout IMAGE=DIR; without IMAGE, all that was released.
	@$(TOOLKIT) verify $(if $(IMAGE),'$(IMAGE)',--released) $(ARGS)

release: venv ## Bring the registry to what images.toml says; write tables to dist/.
	@$(TOOLKIT) release --setup $(PATTERNS) $(ARGS)

batch: venv ## Write the buildspecs of CodeBuild batches that do the same to dist/batch.
	@$(TOOLKIT) codebuild batch $(PATTERNS) $(ARGS)

start: venv ## Write them and start them at the project PROJECT of CodeBuild, one after another.
	@$(TOOLKIT) codebuild start --project '$(PROJECT)' $(PATTERNS) $(ARGS)

stage: venv ## Build, verify and push under build tags only; write dist/staged for `make publish`.
	@$(TOOLKIT) setup
	@$(TOOLKIT) stage $(PATTERNS) $(ARGS)

publish: venv ## Move tags and lists to what was staged, here or on other machines; needs no engine.
	@$(TOOLKIT) publish $(PATTERNS) $(ARGS)

tables: venv ## Print the URI table of the newest release.
	@$(TOOLKIT) tables $(ARGS)

lock: venv ## Resolve images.toml to exact versions and hashes: images.lock.
	@$(TOOLKIT) lock $(PATTERNS) $(ARGS)

upgrade: venv ## Resolve everything anew; what moved stands in dist/upgrade.txt too.
	@mkdir -p dist
	@$(TOOLKIT) lock --upgrade $(PATTERNS) $(ARGS) 2>dist/upgrade.txt; code=$$?; cat dist/upgrade.txt; exit $$code

report: ## Tell the SNS topic TOPIC what `make upgrade` said.
	@aws sns publish --topic-arn '$(TOPIC)' --subject images.lock --message file://dist/upgrade.txt

data: devenv ## Write the tables of toolkit/data anew from the locked packages.
	@$(VENV)/bin/python -m scripts.data $(ARGS)

smoke: devenv ## Start every released image on its own platform and ask it for predictions.
	@$(TOOLKIT) setup
	@$(VENV)/bin/python -m pytest tests/smoke $(ARGS)

test: devenv check ## All tests, on the real engine, registry and images; sets itself up.
	@$(TOOLKIT) setup
	@$(TOOLKIT) release default 'mxnet-*-cpu-*'
	@scripts/browser.sh
	@$(VENV)/bin/python -m pytest --durations 10 $(ARGS)

unit: devenv ## The tests that need no engine and no network.
	@$(VENV)/bin/python -m pytest -q tests/unit tests/serving $(ARGS)

check: devenv ## ruff, mypy --strict, import contract, hadolint on the rendered files.
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@MYPYPATH=dockerfiles/serving $(VENV)/bin/mypy --ignore-missing-imports --package serving
	@$(VENV)/bin/lint-imports
	@scripts/hadolint.sh $(VENV)

bench: devenv ## Time the toolkit against what one would type instead.
	@$(TOOLKIT) setup
	@$(VENV)/bin/python -m scripts.bench $(ARGS)

torture: devenv ## Kill, disturb and race releases for nine minutes; print what came of it.
	@$(TOOLKIT) setup
	@$(VENV)/bin/python -m scripts.torture $(ARGS)

clean: ## Remove what can be made again: layouts, bases, logs, tables.
	rm -rf .cache dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

uninstall: ## Take back what set-up made on this machine, and the virtual environment.
	@if [ -d /var/lib/multiarch-toolkit ]; then scripts/venv.sh $(VENV) locks/toolkit.txt && $(TOOLKIT) uninstall; fi
	rm -rf $(VENV) .venv-sdk .venv-sdk3
