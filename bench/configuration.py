"""Side by side: how long `wg` takes with thousands of peers, on our device and on another.

    python bench/configuration.py [--rounds 5] [--peers 10000] [--out FILE.json]

Each peer has an endpoint and two allowed IPs. Four pairs of a device and a `wg` take turns,
interleaved; prints the medians in milliseconds with their spread, and the ratio of ours to the
original `wg` on wireguard-go. All share the machine's processors: compare ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from base64 import b64encode
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from compare import Round, machine, progress, table
from measures import Figures

from holloway.lab import Host
from hosts import WG, start_device

PAIRS = {
    "holloway": ("holloway", "holloway"),
    "wg on wireguard-go": ("wireguard-go", "original"),
    "wg on holloway-device": ("holloway", "original"),
    "ours on wireguard-go": ("wireguard-go", "holloway"),
}
PATH = "/run/wg0.conf"
LESS = "/run/less.conf"


def configuration(peers: int) -> list[str]:
    """A file in pieces: the interface, and then a peer each."""
    sections = [f"[Interface]\nPrivateKey = {key()}\nListenPort = 51820\n"]
    for number in range(peers):
        high, low = divmod(number, 256)
        sections.append(
            f"[Peer]\nPublicKey = {key()}\nEndpoint = 192.0.2.{low}:{1000 + high}\n"
            f"AllowedIPs = 10.{high}.{low}.0/24, fd00:{number:x}::/64\n"
        )
    return sections


def key() -> str:
    return b64encode(os.urandom(32)).decode()


def one_round(device: str, program: str, sections: list[str]) -> dict[str, Figures]:
    """Take every step with one pair, on a device that is new."""
    results: dict[str, Figures] = {}
    with Host("bench") as host:
        start_device(host, device, "wg0")
        host.write(PATH, "".join(sections[:2]))
        host.run(WG["original"], "setconf", "wg0", PATH)
        results["show, one peer"] = timed(host, program, "show", "wg0")
        host.write(PATH, "".join(sections))
        host.write(LESS, "".join(sections[: len(sections) * 99 // 100]))
        results["setconf, from none"] = timed(host, program, "setconf", "wg0", PATH)
        results["setconf, the same"] = timed(host, program, "setconf", "wg0", PATH)
        results["syncconf, 1 % go"] = timed(host, program, "syncconf", "wg0", LESS)
        results["syncconf, 1 % come"] = timed(host, program, "syncconf", "wg0", PATH)
        results["show dump"] = timed(host, program, "show", "wg0", "dump")
    return results


def timed(host: Host, program: str, *arguments: str) -> Figures:
    """Run `wg` and take the time, its own start included."""
    started = time.perf_counter()
    host.run(WG[program], *arguments)
    return {"ms": (time.perf_counter() - started) * 1000}


def main() -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", type=int, default=10_000)
    parser.add_argument("--out", type=Path, help="write everything there as JSON")
    options = parser.parse_args()
    names, rounds = list(PAIRS), list[Round]()
    sections = configuration(options.peers)
    for number in range(options.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            progress(f"round {number + 1} of {options.rounds}: {name}")
            rounds.append({"device": name, "results": one_round(*PAIRS[name], sections)})
    progress("")
    print(table(rounds, names))
    if options.out is not None:
        report = {"machine": machine(), "peers": options.peers, "rounds": rounds}
        options.out.write_text(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
