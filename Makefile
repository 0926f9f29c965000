# Every target sets up what it needs by itself; a second run takes seconds.
#   make demo    two hosts, a tunnel, explained (as root; else two programs and a tunnel)
#   make test    all checks and tests (as root; others are told what is left out)
#   make check   formatting, lints, types, import rules
#   make guest   our tools beside the kernel's own WireGuard, in a virtual machine (as root)
#   make bench   side by side with other implementations (as root; BENCH=--quick for a glance)
#   make bench-embedded   peers without root side by side (as root; a part of make bench)
#   make report  the benchmark's page, picture and the README's ratios, from docs/benchmarks/results.json
#   make bench-configuration   wg with 10,000 peers beside the original on wireguard-go (as root)
#   make profile   where a device's time goes, by perf, while traffic runs (as root)
#   make transfer    GB gigabytes both ways at once: equal hashes, nothing out of order (as root)
#   make transfers   10,000 random transfers through a network over a lossy link, unchanged (as root)
#   make soak    traffic both ways for SOAK_SECONDS, and streams over renewed sessions (as root)
#   make format  put the code in its form
#   make fuzz    each fuzz target for FUZZ_SECONDS (nightly Rust)
#   make miri    Miri over all of the Rust tests that it can run: long (nightly Rust)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 60
BENCH ?=
SOAK_SECONDS ?= 600
TRANSFERS ?= 10000
GB ?= 10
LAUNCHER := src/holloway/net/holloway-namespace
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

.PHONY: demo test check guest bench bench-embedded report profile bench-configuration transfer transfers soak format fuzz miri loom build clean
.DELETE_ON_ERROR:

demo: build
	@$(BIN)/holloway demo

build: $(VENV)/.built

$(VENV)/.installed: requirements-dev.txt
	@test $$(id -u) != 0 || scripts/debian-packages iproute2 nftables iputils-ping  # root's alone
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || scripts/debian-packages python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the Python packages"
	@$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# A launcher that runs cannot be written over, only replaced.
$(VENV)/.built: $(VENV)/.installed $(RUST_SOURCES) pyproject.toml
	@echo "Building the extension (a minute, the first time)"
	@rm -f $(LAUNCHER)
	@. $(BIN)/activate && maturin develop --release --quiet
	@$(BIN)/python -c 'import holloway._native'
	@touch $@

test: check
	@scripts/debian-packages wireguard-tools iperf3 tcpdump systemd ethtool procps zsh fish
	@scripts/debian-packages mtr-tiny iptables conntrack qrencode zbar-tools dnsmasq-base
	@scripts/debian-packages postgresql curl
	@scripts/debian-packages qemu-system-x86 curl openssh-client apparmor
	@scripts/guest-kernel
	@scripts/peers
	cargo test --quiet
	@$(MAKE) --no-print-directory loom
	@scripts/nightly miri slice
	@scripts/nightly fuzz 1
	$(BIN)/pytest

check: build
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest holloway._native
	$(BIN)/lint-imports
	cargo fmt --check
	cargo clippy --quiet --all-targets -- -D warnings

guest: build
	@scripts/debian-packages qemu-system-x86 wireguard-tools
	@scripts/guest-kernel
	$(BIN)/pytest tests/guest

bench: build
	@scripts/debian-packages wireguard-tools iperf3
	@scripts/peers
	$(BIN)/python bench/compare.py $(BENCH)
	@$(MAKE) --no-print-directory bench-embedded

bench-embedded: build
	@scripts/debian-packages wireguard-tools nginx-light curl
	@scripts/peers
	@scripts/peers-without-root
	$(BIN)/python bench/embedded.py $(filter --quick,$(BENCH))

profile: build
	@scripts/debian-packages wireguard-tools iperf3 linux-perf
	$(BIN)/python bench/samples.py

report: build
	$(BIN)/python bench/report.py

bench-configuration: build
	@scripts/debian-packages wireguard-tools
	@scripts/peers
	$(BIN)/python bench/configuration.py $(BENCH)

transfer: build
	@scripts/debian-packages wireguard-tools
	$(BIN)/python bench/transfer.py --gigabytes $(GB)

transfers: build
	@scripts/debian-packages wireguard-tools dnsmasq-base
	@scripts/peers
	TRANSFERS=$(TRANSFERS) $(BIN)/pytest tests/net/test_transfers.py

soak: build
	@scripts/debian-packages wireguard-tools iperf3 dnsmasq-base
	@scripts/peers
	$(BIN)/python bench/soak.py --seconds $(SOAK_SECONDS)
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/net/test_renewals.py

loom:
	RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 CARGO_TARGET_DIR=target/loom \
	    cargo test --release --quiet -p holloway-plane --lib debts

fuzz:
	@scripts/nightly fuzz $(FUZZ_SECONDS)

miri:
	@scripts/nightly miri whole

format: $(VENV)/.installed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cargo fmt

clean:
	rm -rf $(VENV) target .peers
