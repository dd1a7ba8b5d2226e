# Everything a person does here, by name. `make` alone lists it.
# Each target sets up what it needs; the work is in hack/, whose programs can be called directly as well.

SHELL := /bin/sh
BIN := .venv/bin
.DEFAULT_GOAL := help
# A target runs its own steps side by side where that helps; two targets at once would share one cluster.
.NOTPARALLEL:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## show it working: real AppWright tests on a real cluster with simulated phones
	@hack/demo

.PHONY: test
test: venv ## every layer of tests (some 20 minutes)
	@hack/test

.PHONY: test-unit test-stateful test-services test-apiserver test-e2e
test-unit: venv ## pure tests, seconds
	@hack/test unit
test-stateful: venv ## state machines and the model checker of the protocol
	@hack/test stateful
test-services: venv ## against real S3 and git servers
	@hack/test services
test-apiserver: venv ## against a real etcd and kube-apiserver
	@hack/test apiserver
test-e2e: venv ## on a real node: pods, images, AppWright, phones that vanish
	@hack/test e2e

.PHONY: lint
lint: venv ## ruff, mypy, import layers, generated files
	@hack/lint

.PHONY: format
format: venv ## rewrite the code as `lint` wants it
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format .

.PHONY: venv
venv: ## the Python environment .venv, with qgjob in it
	@hack/venv

.PHONY: images
images: ## build the container images
	@hack/images build

.PHONY: cluster-up cluster-down
cluster-up: ## a Kubernetes cluster to try things on
	@hack/cluster up
cluster-down: ## remove that cluster and all of its traces
	@hack/cluster down

.PHONY: deploy
deploy: venv ## images, CRDs, RBAC and the operator into that cluster
	@hack/deploy

.PHONY: bench bench-batch
bench: venv ## how fast the queue is on that cluster
	@$(BIN)/python -m hack.bench
bench-batch: venv ## how much of a batch's time is spent in tests (some 12 minutes)
	@$(BIN)/python -m hack.bench.batch_efficiency

.PHONY: simulate
simulate: venv ## the planner's schedules beside others', on traces, in simulated time
	@$(BIN)/python -m hack.simulate

.PHONY: crds
crds: venv ## write crds/ anew from the models
	@$(BIN)/python hack/generate_crds.py

.PHONY: constraints
constraints: ## write constraints.txt anew from pyproject.toml
	@hack/update_constraints

.PHONY: clean
clean: ## remove what was built in this checkout; the cluster and the caches outside stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
