# Every target installs what it needs; a second run takes seconds.
#   make demo    two hosts, a tunnel, explained (as root; else two programs and a tunnel)
#   make quick   the checks, the tests of the pure Rust crates and of pure Python: minutes
#   make test    all checks and tests (as root; otherwise it names the tests that it skips)
#   make thorough   the same tests with many more examples each: hours (as root)
#   make check   formatting, lints, types, import rules, licences
#   make audit   known vulnerabilities of what we depend on, where their databases are reachable
#   make sbom    target/sbom/holloway.cdx.json: what is in a wheel, and what it needs
#   make requirements   pin the newest packages that the *.in files allow, with hashes (UPGRADE=-U)
#   make guest   our tools beside the kernel's own WireGuard, in a virtual machine (as root)
#   make bench   side by side with other implementations (as root; BENCH=--quick for a glance)
#   make bench-embedded   peers without root side by side (as root; a part of make bench)
#   make bench-gateway   a hub of 1, 8 and 64 clients, and of 10,000 active peers, side by side (as root)
#   make report  the benchmark's page and picture, from docs/benchmarks/results.json
#   make pictures   the documentation's pictures, from their texts and from the core
#   make picture    the README's picture, from what the demo prints (as root)
#   make bench-configuration   wg with 10,000 peers beside the original on wireguard-go (as root)
#   make bench-quick   wg-quick up and down beside the original on wireguard-go (as root)
#   make bench-idle    an idle device's memory, its start, and wg show, beside wireguard-go (as root)
#   make floods    floods of handshakes and other messages, side by side (as root; BENCH=--quick)
#   make mishaps   the times of recovery from mishaps beside wireguard-go (as root; an hour)
#   make profile   where a device's time goes, by perf, while traffic runs (as root)
#   make transfer    GB gigabytes both ways at once: equal hashes, nothing out of order (as root)
#   make transfers   10,000 random transfers through a network over a lossy link, unchanged (as root)
#   make soak    traffic both ways for SOAK_SECONDS, the same with faults, and streams over renewed sessions (root)
#   make format  put the code in its form
#   make coverage   which lines and branches the tests without root reach: all of the core
#   make fuzz    each fuzz target for FUZZ_SECONDS (nightly Rust; Atheris)
#   make timing  whether the time of a comparison of tags or macs depends on their bytes
#   make miri    Miri over all of the Rust tests that it can run: long (nightly Rust)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 60
FUZZ_SLICE ?= slice
BENCH ?=
UPGRADE ?=
SOAK_SECONDS ?= 600
TRANSFERS ?= 10000
GB ?= 10
# Many tests wait more than they work, so there are more workers than processors.
WORKERS ?= $(shell echo $$(($$(nproc) + 2)))
PYTEST := $(BIN)/pytest -n $(WORKERS) --durations 20
PURE_CRATES := -p holloway-aead -p holloway-codec -p holloway-flood -p holloway-noise -p holloway-packet -p holloway-poll -p holloway-plane
# As maturin sets them: with other values, cargo builds PyO3 and the extension anew, each time.
PYO3_CONFIG = $(firstword $(wildcard $(CURDIR)/target/maturin/pyo3-config-*.txt))
AS_MATURIN = $(if $(PYO3_CONFIG),PYO3_BUILD_EXTENSION_MODULE=1 PYO3_CONFIG_FILE=$(PYO3_CONFIG))
# The tests start Python thousands of times: let it keep what it has compiled.
export PYTHONDONTWRITEBYTECODE :=
FLOOD := target/debug/holloway-flood
LAUNCHER := src/holloway/net/holloway-namespace
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

.PHONY: demo quick test thorough others test-rust test-rust-beside test-python \
	check check-style check-types check-imports check-rust check-dependencies audit sbom requirements guest \
	bench bench-embedded bench-gateway bench-configuration bench-quick bench-idle floods mishaps report pictures picture profile \
	transfer transfers soak format coverage fuzz timing miri loom build release clean
.DELETE_ON_ERROR:

demo: build
	@$(BIN)/holloway demo

build: $(VENV)/.built

release: $(VENV)/.released

$(VENV)/.installed: requirements-dev.txt
	@test $$(id -u) != 0 || scripts/debian-packages iproute2 nftables iputils-ping  # root's alone
	@$(PYTHON) -m ensurepip --version >/dev/null 2>&1 || scripts/debian-packages python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing the Python packages"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

# The extension is there once: built for development and tests, or, as in wheels, for speed.
$(VENV)/.built: PROFILE := dev
$(VENV)/.released: PROFILE := release
$(VENV)/.built $(VENV)/.released: $(VENV)/.installed $(RUST_SOURCES) pyproject.toml
	@echo "Building the extension (a minute, the first time)"
	@rm -f $(LAUNCHER) $(VENV)/.built $(VENV)/.released  # a running launcher can only be replaced
	@mkdir -p target
	@. $(BIN)/activate && maturin develop --locked --profile $(PROFILE) --quiet >target/build.log 2>&1 \
		|| { cat target/build.log >&2; exit 1; }
	@$(BIN)/python -c 'import holloway._native'
	@touch $@

# What floods devices in tests; built before other builds hold cargo's lock.
$(FLOOD): $(RUST_SOURCES)
	@cargo build --locked --quiet -p holloway-flood
	@touch $@

# The checks run beside the preparation of what the tests need, and the Rust tests beside those of
# Python, many of which wait. The Rust tests have a lower priority, but not the lowest: they have
# limits of their own. `-j` has no number, because cargo would take it as its own limit.
test: build $(FLOOD)
	@$(MAKE) --no-print-directory -j --output-sync=target check others
	@$(MAKE) --no-print-directory -j test-rust-beside test-python

thorough: export HYPOTHESIS_PROFILE := thorough
thorough: export PROPTEST_CASES := 4096
thorough: export PYTEST_TIMEOUT := 14400
thorough: export FUZZ_SLICE := $(FUZZ_SECONDS)
thorough: test

quick: check
	cargo test --locked --quiet $(PURE_CRATES)
	$(PYTEST) tests/unit tests/sim tests/vectors tests/fuzzing

# What the tests run beside our own: programs, other implementations, a kernel.
others: $(VENV)/.installed
	@scripts/debian-packages wireguard-tools iperf3 tcpdump systemd ethtool procps zsh fish mtr-tiny \
		iptables conntrack qrencode zbar-tools dnsmasq-base postgresql curl qemu-system-x86 \
		openssh-client apparmor sudo netcat-openbsd strace nginx-light redis-server \
		mosquitto vsftpd mariadb-server-core
	@scripts/guest-kernel
	@scripts/peers

test-rust-beside:
	@scripts/beside "Rust tests" nice -n 10 $(MAKE) --no-print-directory test-rust

test-rust:
	cargo test --locked --quiet --workspace --exclude holloway-native
	@$(MAKE) --no-print-directory loom
	@scripts/nightly miri slice
	@scripts/nightly fuzz $(FUZZ_SLICE)
	@$(MAKE) --no-print-directory audit

test-python: build
	$(PYTEST)

check: check-style check-types check-imports check-rust check-dependencies

check-style: build
	$(BIN)/ruff format --check
	$(BIN)/ruff check

check-types: build
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest holloway._native holloway._native_types

check-imports: build
	$(BIN)/lint-imports

check-rust: build
	cargo fmt --check
	$(AS_MATURIN) cargo clippy --locked --quiet --all-targets -- -D warnings

check-dependencies:
	@scripts/audit rules

audit: $(VENV)/.installed
	@scripts/audit

# The profile makes no difference to what a wheel is made of; that of `make build` compiles nothing anew.
sbom: build
	@rm -rf target/sbom
	@. $(BIN)/activate && maturin build --locked --profile dev --quiet --out target/sbom
	$(BIN)/python scripts/sbom.py target/sbom/*.whl target/sbom/holloway.cdx.json

requirements: $(VENV)/.installed
	for file in requirements-dev bench/requirements; do \
		$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
			--no-emit-index-url --no-emit-find-links --annotation-style line $(UPGRADE) \
			--output-file $$file.txt $$file.in; \
	done

guest: build
	@scripts/debian-packages qemu-system-x86 wireguard-tools
	@scripts/guest-kernel
	$(BIN)/pytest tests/guest

bench: release
	@scripts/debian-packages wireguard-tools iperf3
	@scripts/peers
	$(BIN)/python bench/compare.py $(BENCH)
	@$(MAKE) --no-print-directory bench-embedded

bench-embedded: release
	@scripts/debian-packages wireguard-tools nginx-light curl
	@scripts/peers
	@scripts/peers-without-root
	$(BIN)/python bench/embedded.py $(filter --quick,$(BENCH))

bench-gateway: release
	@scripts/debian-packages wireguard-tools
	@scripts/peers
	$(BIN)/python bench/gateway.py $(BENCH)
	$(BIN)/python bench/active_peers.py $(filter --quick,$(BENCH))

profile: release
	@scripts/debian-packages wireguard-tools iperf3 linux-perf
	$(BIN)/python bench/samples.py

report: build
	$(BIN)/python bench/report.py

pictures: build
	$(BIN)/python tests/docs/pictures.py

picture: release
	$(BIN)/python tests/docs/demo_picture.py

bench-configuration: release
	@scripts/debian-packages wireguard-tools
	@scripts/peers
	$(BIN)/python bench/configuration.py $(BENCH)

bench-quick: release
	@scripts/debian-packages wireguard-tools
	@scripts/peers
	$(BIN)/python bench/quick.py $(BENCH)

bench-idle: release
	@scripts/debian-packages wireguard-tools
	@scripts/peers
	$(BIN)/python bench/idle.py $(BENCH)

floods: release
	@scripts/debian-packages wireguard-tools iperf3 procps ethtool
	@scripts/peers
	@cargo build --locked --quiet --release -p holloway-flood
	$(BIN)/python bench/floods.py $(BENCH)

mishaps: release
	@scripts/debian-packages wireguard-tools nftables qemu-system-x86
	@scripts/guest-kernel
	@scripts/peers
	$(BIN)/python bench/mishaps.py
	$(BIN)/python bench/clocks.py

transfer: release
	@scripts/debian-packages wireguard-tools
	$(BIN)/python bench/transfer.py --gigabytes $(GB)

transfers: release
	@scripts/debian-packages wireguard-tools dnsmasq-base
	@scripts/peers
	TRANSFERS=$(TRANSFERS) $(BIN)/pytest tests/net/test_transfers.py

soak: release
	@scripts/debian-packages wireguard-tools iperf3 dnsmasq-base
	@scripts/peers
	$(BIN)/python bench/soak.py --seconds $(SOAK_SECONDS)
	$(BIN)/python bench/soak_faults.py --seconds $(SOAK_SECONDS) $(SOAK)
	SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/pytest -s tests/net/test_renewals.py

loom:
	LOOM_MAX_PREEMPTIONS=3 cargo test --locked --quiet -p holloway-plane --features loom --lib debts

coverage: build
	$(BIN)/coverage run -m pytest -q tests/unit tests/sim tests/vectors tests/fuzzing
	$(BIN)/coverage report
	$(BIN)/coverage report --include 'src/holloway/core/*' --show-missing --fail-under 100

fuzz: build
	@scripts/nightly fuzz $(FUZZ_SECONDS)
	@scripts/fuzz-python $(FUZZ_SECONDS)

timing:
	cargo run --locked --quiet --release -p holloway-plane --example timing --features fuzzing

miri:
	@scripts/nightly miri whole

format: $(VENV)/.installed
	$(BIN)/ruff format
	$(BIN)/ruff check --fix
	cargo fmt

clean:
	rm -rf $(VENV) target .peers
