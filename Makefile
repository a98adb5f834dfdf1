# Two commands do everything: `make demo` and `make test`. Each target is a command that a reader could type.
PYTHON ?= python3
BIN := .venv/bin
RUN := $(BIN)/python -m

.PHONY: demo test check static proof deep programs contract judges bench traffic soak crds format clean image e2e

demo: .venv/ready ## the whole story, on a control plane of this machine (or KUBECONFIG)
	$(BIN)/anchorline demo $(ARGS)

test: check deep programs ## everything; the stories in pods on a node of this machine only
	$(RUN) pytest tests/chart tests/judges tests/contract $(ARGS)
	@$(MAKE) --no-print-directory traffic ARGS=
	@$(if $(KUBECONFIG),echo "Left out: the stories in pods. On your own cluster 'make e2e' tells them.",$(MAKE) --no-print-directory e2e ARGS=)

check: .venv/ready ## before each commit: format, lint, types, import contracts, generated files, unit and property tests
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target static proof

static: .venv/ready
	$(BIN)/ruff format --check operator tests
	$(BIN)/ruff check operator tests
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/anchorline crds --check crds
	$(BIN)/anchorline crds --check charts/anchorline/crds-generated

proof: .venv/ready
	$(RUN) pytest tests/unit tests/property -q -n 2 --dist worksteal --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under=100

deep: .venv/ready ## the properties, the model of a rotation among them, on many more examples
	ANCHORLINE_MODEL=deep $(RUN) pytest tests/property -q -n 2 --dist worksteal

programs: .venv/ready ## what the tests run on: built once, which takes a quarter of an hour, or found
	$(RUN) anchorline.lab.programs helm kubectl $(if $(KUBECONFIG),,etcd kube-apiserver kube-controller-manager)

contract: programs ## tests on a real kube-apiserver of this machine (or KUBECONFIG)
	$(RUN) pytest tests/contract $(ARGS)

judges: .venv/ready ## chains judged by openssl, GnuTLS, NSS, Go, Node, Java
	$(RUN) pytest tests/judges $(ARGS)

bench: programs ## ratios against the raw API server, in one run
	$(RUN) tests.bench $(ARGS)

traffic: programs ## three rotations under real TLS traffic
	$(RUN) pytest tests/traffic $(ARGS)

soak: programs ## the same until a million handshakes are done; ARGS=--report=FILE
	$(RUN) tests.traffic.soak $(ARGS)

crds: .venv/ready ## generate the CRDs
	$(BIN)/anchorline crds --write crds
	$(BIN)/anchorline crds --write charts/anchorline/crds-generated

format: .venv/ready
	$(BIN)/ruff format operator tests
	$(BIN)/ruff check --fix operator tests

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

image: .venv/ready ## the image and its SBOM, in build/image
	$(RUN) anchorline.lab.imagebuild $(ARGS)

e2e: .venv/ready ## the stories, in pods: on a node of this machine (root on Debian), or KUBECONFIG
	$(RUN) tests.e2e
	$(RUN) pytest tests/e2e --timeout=900 $(if $(KUBECONFIG),,-n 2 --dist loadfile --no-loadscope-reorder) $(ARGS)

clean:
	rm -rf .venv build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
