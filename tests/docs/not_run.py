"""The blocks of pages that no test types, by their first lines in order, and the reasons."""

from __future__ import annotations

WHEEL = "test_wheel.py builds and installs the package; here it would take minutes"
BENCHMARK = "it measures for minutes, and no test asserts a speed"
SYNOPSIS = "it is the synopsis of a command, with placeholders"
SAMPLE = "it is sample output of a program, or a sample of a file"
KERNEL = "it changes the kernel of the whole machine"
SYSTEMD = "there is no systemd in a lab; test_restart.py runs the unit's commands"

NOT_RUN: dict[str, dict[str, str]] = {
    "ARCHITECTURE.md": {"src/holloway/": "it is a table of directories"},
    "CONTRIBUTING.md": {
        "make check     formatting, lints, types, stubs, import rules, licences": (
            "this test is part of it"
        ),
    },
    "README.md": {"make demo": "test_demo.py runs the demo; make would rebuild the extension"},
    "docs/benchmarks/README.md": {
        "python bench/compare.py --also ring --rounds 5 --seconds 2"
        " --out docs/benchmarks/results.json": BENCHMARK,
    },
    "docs/benchmarks/embedded-holding.md": {
        "python bench/embedded.py --rounds 1 --seconds 2 --measures"
        " '10000 idle connections;survives' --out docs/benchmarks/embedded-holding.json": BENCHMARK,
    },
    "docs/benchmarks/embedded.md": {
        "python bench/embedded.py --rounds 3 --seconds 2 --measures"
        " 'bulk;bulk, ours far;connections a second;50 ms;1 % loss;cold start'"
        " --out docs/benchmarks/embedded.json": BENCHMARK,
    },
    "docs/benchmarks/cold-start.md": {
        "python bench/cold_start.py --before BEFORE/src": BENCHMARK,
    },
    "docs/benchmarks/quick.md": {"make bench-quick": BENCHMARK},
    "docs/benchmarks/idle.md": {
        'make bench-idle BENCH="--rounds 4 --before BEFORE/src"': BENCHMARK,
    },
    "docs/benchmarks/floods.md": {
        "python bench/floods.py --rounds 3 --seconds 12"
        " --out docs/benchmarks/floods.json": BENCHMARK,
    },
    "docs/benchmarks/gateway.md": {
        "python bench/gateway.py --out docs/benchmarks/gateway.json": BENCHMARK,
    },
    "docs/benchmarks/mishaps.md": {
        "python bench/mishaps.py --out docs/benchmarks/mishaps.json": BENCHMARK,
        "python bench/clocks.py --out docs/benchmarks/clocks.json": BENCHMARK,
    },
    "docs/decisions/0017-secrets-are-not-echoed.md": {
        "Line unrecognized: `PrivatKey=(hidden)'": SAMPLE,
    },
    "docs/decisions/0033-restart-is-not-silence.md": {
        'python bench/mishaps.py --rounds 5 --only "the responder is restarted"': BENCHMARK,
    },
    "docs/explanation/where-the-time-goes.md": {
        "0.62 + 2 x (nanoseconds of cipher a packet) / 1420     seconds": "it is a formula",
        "for _ in packets {}                          // seal": "it is a change that was measured",
    },
    "docs/how-to/crash.md": {
        "install -D -m 644 -t /etc/systemd/system units/holloway-device@.service": SYSTEMD,
        "systemctl enable --now holloway-device@wg0": SYSTEMD,
        "#!/bin/sh": SYSTEMD,
        "[Service]": SYSTEMD,
        "chmod +x /usr/local/bin/holloway-device-service": SYSTEMD,
    },
    "docs/how-to/install.md": {
        "python3 -m venv ~/.local/share/holloway": WHEEL,
        "python3 -m venv .venv": WHEEL,
    },
    "docs/how-to/original-tools.md": {
        "echo 'install wireguard /bin/false' > /etc/modprobe.d/no-wireguard.conf": KERNEL,
    },
    "docs/how-to/proxy.md": {
        "up       up/s       down     down/s        age  connection": SAMPLE,
    },
    "docs/how-to/user-namespaces.md": {
        "holloway run --apparmor-profile | sudo tee /etc/apparmor.d/holloway-namespace":
            f"{KERNEL}; test_apparmor.py loads the profile in a virtual machine",
        "sudo sysctl -w kernel.unprivileged_userns_clone=1": KERNEL,
        "sudo sysctl -w user.max_user_namespaces=15000": KERNEL,
        "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined \\":
            "there is no container engine in a lab",
    },
    "docs/reference/holloway-device.md": {
        "holloway-device [-f|--foreground] INTERFACE-NAME": SYNOPSIS,
    },
    "docs/reference/holloway-run.md": {
        "holloway run [-p PORT]... [-q | -v] CONFIG [--] COMMAND [ARGUMENT...]": SYNOPSIS,
    },
    "docs/reference/network.md": {
        'async with holloway.Network("laptop.conf") as net: ...     # asyncio': SYNOPSIS,
        'holloway.run(main(), "laptop.conf")                                   # as asyncio.run':
            SYNOPSIS,
    },
    "docs/reference/proxy.md": {
        "holloway proxy CONFIG [OPTION...]": SYNOPSIS,
        "14:03:11 socks5 127.0.0.1:51234 > nas.home:22: done, 3.1 KiB up, 11.2 MiB down, 74.0 s":
            SAMPLE,
    },
    "docs/reference/wg-quick.md": {
        "wg-quick up|down|save|strip|reload CONFIG_FILE|INTERFACE": SYNOPSIS,
    },
    "docs/reference/wg.md": {"# Alice's phone": SAMPLE},
    "docs/tutorial/python-peer.md": {"[Interface]": SAMPLE},
}  # fmt: skip
