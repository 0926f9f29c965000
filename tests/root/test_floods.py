"""Floods of every kind: the device survives them, and strangers get nothing for their packets.

The benchmark's hosts, with its generator (`crates/flood`). No rate and no time is asserted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from floods_testbed import SERVER, TARGET, FloodHosts, finish_json

from hosts import REPOSITORY, WG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.slow]

GENERATOR = REPOSITORY / "target/debug/holloway-flood"
TARGET_V6 = "fd99::2"
GROWTH_MIB = 32
"""The most that a flood may add to the device's memory: its buffers and queues, once filled."""
COUNTERS = """
table inet floods {
  counter arrived {}
  counter answered {}
  chain input {
    type filter hook input priority 0
    iifname "eth2" udp dport 51820 counter name arrived
  }
  chain output {
    type filter hook output priority 0
    oifname "eth2" udp sport 51820 counter name answered
  }
}
"""
ONE_OF_A_TRAIN = 28 + 148
"""The bytes of a datagram of a mixed train that the kernel has not joined, with its headers."""
JUDGED = {"undecryptable", "cookie_required", "rate_limited", "queue_full"}
"""The reasons for a message with a valid mac1, after which nothing in it is valid."""


@pytest.fixture(scope="module")
def generator() -> Path:
    """Return the generator, which `make test` has built before it starts other builds."""
    sources = [path.stat().st_mtime for path in (REPOSITORY / "crates/flood").rglob("*.*")]
    if not GENERATOR.exists() or GENERATOR.stat().st_mtime < max(sources):
        subprocess.run(["cargo", "build", "-q", "-p", "holloway-flood"], cwd=REPOSITORY, check=True)
    return GENERATOR


@pytest.fixture(scope="module")
def testbed(generator: Path) -> Iterator[FloodHosts]:
    with ExitStack() as stack:
        made = FloodHosts("holloway", stack, generator)
        made.server.run("nft", "-f", "-", stdin=COUNTERS)
        for host, last in ((made.server, 2), (made.attacker, 1)):
            name = "eth2" if host is made.server else "eth0"
            host.run("ip", "address", "add", f"fd99::{last}/64", "dev", name, "nodad")
        made.server.run("ip", "route", "add", "default", "via", "fd99::1")
        yield made


def counted(testbed: FloodHosts) -> dict[str, tuple[int, int]]:
    """Return the packets and bytes that came from the attacker's link and left to it."""
    shown = testbed.server.run("nft", "-j", "list", "counters").stdout
    counters = [one["counter"] for one in json.loads(shown)["nftables"] if "counter" in one]
    return {one["name"]: (one["packets"], one["bytes"]) for one in counters}


def discards(testbed: FloodHosts) -> dict[str, int]:
    """Return what the server's device has discarded so far, by reason."""
    shown = testbed.server.run(WG["holloway"], "show", "wg0", "discards", "--json").stdout
    found: dict[str, int] = json.loads(shown)["wg0"]["discards"]
    return found


def own_key(testbed: FloodHosts) -> list[str]:
    return ["--public-key", testbed.keys.public]


FLOODS: dict[str, tuple[set[str], Callable[[FloodHosts], list[str]]]] = {
    "initiation": (JUDGED, own_key),
    "response": ({"unexpected_response", "cookie_required", "rate_limited"}, own_key),
    "wrong-mac1": ({"bad_mac1"}, lambda _: []),
    "random": ({"unknown_type", "truncated"}, lambda _: []),
    "replay": (
        (JUDGED - {"undecryptable"}) | {"replayed_initiation", "initiation_flood"},
        lambda testbed: ["--message", testbed.answered_initiation()],
    ),
    "transport": ({"forged"}, lambda testbed: ["--receivers", testbed.receiver_index()]),
}
"""The kinds, with the reasons for which they may be discarded, and their options."""
ANSWERED = {"initiation", "response", "replay"}
"""The kinds whose sender knows our public key, and may get cookies."""


@dataclass(frozen=True)
class Outcome:
    """What a flood did: counts of packets, and the bytes that came and that were answered."""

    sent: int
    arrived: int
    received: int
    answered: int
    discarded: dict[str, int]


def flooded(testbed: FloodHosts, *options: str, sources: str) -> Outcome:
    """Flood, and check that the device lives, its session goes on and its memory is bounded."""
    words = ["--rate", "20000", "--seconds", "1", *options]
    if sources == "own":
        words += ["--sources", "own"]
    traffic, known, memory = counted(testbed), discards(testbed), testbed.peak_memory()
    flood = testbed.flood(*words)
    testbed.client.run("ping", "-c", "10", "-i", "0.05", "-W", "10", SERVER)
    sent = finish_json(flood)
    assert isinstance(sent, dict)
    assert sent["errors"] == 0
    assert sent["sent"] > 0
    assert testbed.peak_memory() < memory + GROWTH_MIB
    now = counted(testbed)
    grown = {name: count - known.get(name, 0) for name, count in discards(testbed).items()}
    return Outcome(
        sent["sent"],
        now["arrived"][0] - traffic["arrived"][0],
        now["arrived"][1] - traffic["arrived"][1],
        now["answered"][1] - traffic["answered"][1],
        {name: count for name, count in grown.items() if count},
    )


@pytest.mark.parametrize(
    ("kind", "sources"), [*((kind, "spoofed") for kind in FLOODS), ("initiation", "own")]
)
def test_a_flood_costs_no_session_no_memory_and_no_more_bytes_than_it_brings(
    testbed: FloodHosts, kind: str, sources: str
) -> None:
    reasons, options = FLOODS[kind]
    done = flooded(testbed, "--kind", kind, *options(testbed), sources=sources)
    assert 0 < done.arrived <= done.sent
    assert set(done.discarded) <= reasons
    assert 0 < sum(done.discarded.values()) <= done.sent
    if kind in ANSWERED:
        assert done.answered < done.received
    else:
        assert done.answered == 0
    if kind == "initiation":
        assert done.answered > 0
        assert done.discarded["cookie_required"] > 0


@pytest.mark.parametrize("sources", ["spoofed", "own"])
def test_messages_that_the_kernel_joins_are_told_apart(testbed: FloodHosts, sources: str) -> None:
    with testbed.trains_joined():
        done = flooded(testbed, "--kind", "mixed-train", *own_key(testbed), sources=sources)
    assert done.received > done.arrived * ONE_OF_A_TRAIN
    assert set(done.discarded) <= JUDGED | {"unknown_index"}
    assert done.discarded["unknown_index"] > 0
    assert set(done.discarded) & JUDGED
    assert sum(done.discarded.values()) <= done.sent
    # Under load, an initiation behind data that is not authentic gets no cookie.
    assert done.answered < done.received


@pytest.mark.parametrize("sources", ["spoofed", "own"])
@pytest.mark.parametrize("target", [TARGET, f"[{TARGET_V6}]"])
def test_every_packet_arrives_and_its_checksum_is_right(
    testbed: FloodHosts, target: str, sources: str
) -> None:
    """The kernel counts what arrives at a port where nobody listens, if its checksum is right."""
    words = ["--kind", "random", "--rate", "1000", "--seconds", "1"]
    if sources == "own":
        words += ["--sources", "own"]
    names = ("UdpNoPorts", "UdpInCsumErrors") if target == TARGET else (
        "Udp6NoPorts", "Udp6InCsumErrors")  # fmt: skip
    before = udp_counters(testbed, names)
    sent = finish_json(testbed.flood(*words, target=f"{target}:9"))
    assert isinstance(sent, dict)
    after = udp_counters(testbed, names)
    assert sent["sent"] > 0
    assert [now - then for now, then in zip(after, before, strict=True)] == [sent["sent"], 0]


def udp_counters(testbed: FloodHosts, names: tuple[str, ...]) -> list[int]:
    """Return counters of the server's UDP."""
    shown = testbed.server.run("nstat", "-asz", *names).stdout
    return [int(re.findall(rf"^{name}\s+(\d+)", shown, re.M)[0]) for name in names]


# What the generator refuses.


def refused(testbed: FloodHosts, *words: str, inside: int = 0, target: str = TARGET) -> str:
    """Return why the generator refuses to flood."""
    namespace = ["nsenter", "--target", str(inside or testbed.attacker.pid), "--net", "--"]
    given = dict(zip(words[::2], words[1::2], strict=True))
    options = {"--namespace": str(testbed.server.pid), "--target": f"{target}:51820",
               "--kind": "wrong-mac1", "--rate": "1", "--seconds": "0.1"} | given  # fmt: skip
    pairs = [word for pair in options.items() for word in pair]
    done = subprocess.run([*namespace, str(testbed.generator), *pairs],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode != 0
    assert done.stdout == ""
    return done.stderr


def test_it_does_not_send_from_the_machines_own_namespace(testbed: FloodHosts) -> None:
    assert "runs in the network namespace of process 1" in refused(testbed, inside=os.getpid())


@pytest.mark.parametrize("namespace", ["{}", "/proc/{}/ns/net"])
def test_it_does_not_send_to_the_machines_own_namespace(
    testbed: FloodHosts, namespace: str
) -> None:
    own = namespace.format(os.getpid())
    assert "is that of process 1" in refused(testbed, "--namespace", own)


@pytest.mark.parametrize("address", ["10.99.2.3", "192.0.2.1", "[fd99::3]"])
def test_it_does_not_send_to_an_address_of_nobody_there(testbed: FloodHosts, address: str) -> None:
    assert "is not assigned in that namespace" in refused(testbed, target=address)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "224.0.0.1", "[::1]", "[ff02::1]"])
def test_it_does_not_send_to_an_address_of_no_interface(testbed: FloodHosts, address: str) -> None:
    assert "is no address of an interface" in refused(testbed, target=address)


def test_it_does_not_send_where_the_address_leads_elsewhere(testbed: FloodHosts) -> None:
    testbed.attacker.run("ip", "address", "add", f"{TARGET}/32", "dev", "lo")
    try:
        assert "does not arrive there" in refused(testbed)
    finally:
        testbed.attacker.run("ip", "address", "delete", f"{TARGET}/32", "dev", "lo")


def test_it_does_not_send_where_any_address_can_be_bound(testbed: FloodHosts) -> None:
    sysctl = "/proc/sys/net/ipv4/ip_nonlocal_bind"
    testbed.server.run("sh", "-c", f"echo 1 >{sysctl}")
    try:
        assert "does not arrive there" in refused(testbed, target="10.99.2.3")
    finally:
        testbed.server.run("sh", "-c", f"echo 0 >{sysctl}")


@pytest.mark.parametrize(("option", "value"), [
    ("--seconds", "60.1"), ("--seconds", "0"), ("--seconds", "nan"), ("--seconds", "-1"),
    ("--namespace", "/run/netns/other"), ("--namespace", "self"), ("--rate", "-1"),
    ("--kind", "unknown"), ("--sources", "10.0.0.0"), ("--sources", "fd00::/8"),
])  # fmt: skip
def test_it_does_not_take_other_values(testbed: FloodHosts, option: str, value: str) -> None:
    assert f"{option} {value} is not understood" in refused(testbed, option, value)


def test_it_does_not_send_without_a_limit_of_time(testbed: FloodHosts) -> None:
    command = [str(testbed.generator), "--namespace", "1", "--target", "192.0.2.1:9",
               "--kind", "random", "--rate", "0"]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--seconds is missing" in done.stderr
