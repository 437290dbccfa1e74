# Segue. `make demo` and `make test` work on a fresh clone with Python 3.11; everything lands in .venv.
#   GPU=1      the CUDA builds of torch and fbgemm
#   SEGUE_DATA folder of real data sets; else ./data, else a small simulated world
#   BENCH      options of a benchmark, such as BENCH=--quick
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready$(if $(GPU),-gpu)
QUIET := $(if $(CI),--quiet)
PIP := $(BIN)/python -m pip --disable-pip-version-check install $(QUIET) --constraint constraints.txt
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
FBGEMM := $(shell sed -n 's/^fbgemm_gpu-cpu==//p' constraints.txt)

.DEFAULT_GOAL := help
.PHONY: help install java redis load demo demo-swap test test-all test-faults lint types bench bench-features \
  bench-training bench-accuracy bench-serving protos docs clean

help:  ## Show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: java redis $(READY)  ## Make .venv and install everything, Java and Redis too where that is possible

# torch first and by its exact version; then fbgemm and torchrec without their dependencies: torchrec declares the CUDA
# fbgemm-gpu, which would overwrite the files of fbgemm-gpu-cpu and break the import on a CPU.
$(READY): constraints.txt pyproject.toml Makefile
	@command -v $(PYTHON) >/dev/null || { echo "Segue needs Python 3.11: install it, or say PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "--- 1/3 torch $(TORCH)"
	$(PIP) torch==$(TORCH)
	@echo "--- 2/3 Segue and what it stands on (some 250 packages)"
	$(PIP) --editable '.[all,dev]'
	@echo "--- 3/3 fbgemm and torchrec"
	$(PIP) --no-deps $(if $(GPU),fbgemm-gpu,fbgemm-gpu-cpu)==$(FBGEMM) torchrec
	$(BIN)/python -c "import torchrec"
	@rm -f $(VENV)/.ready*; touch $@

java:
	@java -version 2>&1 | grep -qE 'version "(1[7-9]|2[0-9])' || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq openjdk-17-jre-headless; \
	  else \
	    echo "Spark needs Java 17. On Debian or Ubuntu type: sudo apt-get install openjdk-17-jre-headless"; exit 1; \
	  fi

# Tests of the store on Redis are left out, and say so, where there is none.
redis:
	@command -v redis-server >/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server >/dev/null || true; \
	  else \
	    echo "without redis-server the tests of the store on Redis are left out"; \
	  fi

# h2load drives the server from outside; libfaketime lets a test turn its clock.
load:
	@{ command -v h2load && test -e /usr/lib/*/faketime/libfaketimeMT.so.1; } >/dev/null || \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nghttp2-client faketime >/dev/null; \
	  else \
	    echo "On Debian or Ubuntu type: sudo apt-get install nghttp2-client faketime"; exit 1; \
	  fi

demo: install  ## The whole way once: import, features, train, evaluate, gate, bundle, serve, ask
	$(BIN)/segue demo

demo-swap: install  ## Swap the model of a running server under load, and swap it back
	$(BIN)/python benchmarks/serving/swap.py

test: install lint types  ## Lint, types, import law, unit, contract and end-to-end tests
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not faults"

test-all: install lint types  ## The same, and the slow ones
	$(BIN)/pytest -n 2 --dist loadfile

test-faults: install load  ## Faults done to real processes; prints their table
	$(BIN)/pytest tests/faults -m faults

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

bench: install  ## Measure (asserts nothing)
	for file in benchmarks/bench_*.py; do echo "--- $$file"; $(BIN)/python $$file || exit 1; done

# Simulated worlds of 1, 3 and 10 million events; a quarter of an hour on two cores, and some 5 GB of scratch space.
bench-features: install  ## Measure import and feature jobs, their slopes, and what they come to at a billion events
	$(BIN)/python benchmarks/features --catalogue $(BENCH)

# The peers get environments of their own under workspace/benchmarks; they are made once.
bench-training: install  ## Measure training speed and memory against RecTools, RePlay and RecBole
	$(BIN)/python benchmarks/training $(BENCH)
	$(BIN)/python benchmarks/training/scaling.py

# Hours; what is finished is found again.
bench-accuracy: install  ## Accuracy on the real sets in SEGUE_DATA, with seeds and intervals
	$(BIN)/python benchmarks/accuracy $(BENCH)

# An hour on two idle cores, most of it the graphs of a million tracks, which are made once and kept under
# workspace/benchmarks. BENCH=--quick: that all of it runs, no more.
bench-serving: install load  ## Measure the server beside the sum of its parts, retrieval, memory, start and effect
	$(BIN)/python benchmarks/retrieval $(BENCH)
	$(BIN)/python benchmarks/serving/coldstart.py
	$(BIN)/python benchmarks/serving/effect.py
	$(BIN)/python benchmarks/serving/live.py
	$(BIN)/python benchmarks/serving/memory.py $(if $(findstring --quick,$(BENCH)),--items 20000)
	$(BIN)/python benchmarks/serving $(BENCH)

protos: install  ## Generate protos/segue/v1/*_pb2* from the .proto files
	$(BIN)/python protos/generate.py

docs: install  ## Write docs/architecture.svg and docs/data-contracts.md from the source
	$(BIN)/python docs/generate.py

clean:  ## Remove the environment and the workspace
	rm -rf $(VENV) workspace
