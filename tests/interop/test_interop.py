"""Our device against wireguard-go and boringtun: both roles, with and without preshared key, over
IPv4 and IPv6, and through a rekey. All pairs run at once, each on two hosts of its own.
"""

from __future__ import annotations

import itertools
import re
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from holloway.key import Key
from holloway.lab import Host, join
from hosts import WG, key_pair, program, result, start_device

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.interop, pytest.mark.timeout(400), pytest.mark.slow]

REKEY_AFTER_SECONDS = 120  # paper, 6.1
SPARE_SECONDS = 30
"""A busy machine may make a side shake hands again at first; the renewal then comes later."""
PSK = Key(bytes(range(1, 33))).base64


@dataclass
class Case:
    """One pair: who initiates, who responds, and what was seen."""

    initiator: str
    responder: str
    outer: int
    psk: bool
    hosts: list[Host] = field(default_factory=list)
    ping: subprocess.Popen[str] | None = None
    handshakes: list[int] = field(default_factory=list)
    lost: str = ""

    def __str__(self) -> str:
        key = "psk" if self.psk else "nopsk"
        return f"{self.initiator}-to-{self.responder}-ipv{self.outer}-{key}"


CASES = [
    Case(*pair, outer, psk)
    for other in ("wireguard-go", "boringtun")
    for pair in (("holloway", other), (other, "holloway"))
    for outer, psk in itertools.product((4, 6), (False, True))
]


NAMES = [str(case) for case in CASES]


def build(case: Case, stack: ExitStack) -> None:
    """Two hosts on a cable, a device in each, one of them with an endpoint."""
    case.hosts = [stack.enter_context(Host(side)) for side in ("initiator", "responder")]
    join(*case.hosts)
    keys = [key_pair(case.hosts[0]) for _ in case.hosts]
    for number, host in enumerate(case.hosts, 1):
        host.run("ip", "address", "add", f"10.99.0.{number}/24", "dev", "eth0")
        host.run("ip", "address", "add", f"fd99::{number}/64", "dev", "eth0", "nodad")
    for number, (host, implementation) in enumerate(
        zip(case.hosts, (case.initiator, case.responder), strict=True), 1
    ):
        start_device(host, implementation, "wg0")
        endpoint = "10.99.0.2:51820" if case.outer == 4 else "[fd99::2]:51820"
        host.write("/run/wg0.conf", "\n".join((
            "[Interface]", f"PrivateKey = {keys[number - 1].private}", "ListenPort = 51820",
            "[Peer]", f"PublicKey = {keys[2 - number].public}",
            f"AllowedIPs = 10.98.0.{3 - number}/32, fd98::{3 - number}/128",
            f"PresharedKey = {PSK}" if case.psk else "",
            f"Endpoint = {endpoint}" if number == 1 else "",
        )) + "\n")  # fmt: skip
        tool = WG["original" if number == 1 else "holloway"]
        host.run(tool, "setconf", "wg0", "/run/wg0.conf")
        host.run("ip", "address", "add", f"10.98.0.{number}/24", "dev", "wg0")
        host.run("ip", "address", "add", f"fd98::{number}/64", "dev", "wg0", "nodad")
        host.run("ip", "link", "set", "wg0", "mtu", "1420", "up")


def latest_handshake(case: Case) -> int:
    """Ask our side: boringtun reports a handshake's age, not its time."""
    ours = case.hosts[0 if case.initiator == "holloway" else 1]
    shown = ours.run(WG["original"], "show", "wg0", "latest-handshakes").stdout
    return int(shown.split()[1])


@pytest.fixture(scope="module")
def cases() -> Iterator[dict[str, Case]]:
    """Build all, ping once a second for longer than a session lasts, and look at the end."""
    with ExitStack() as stack:
        for case in CASES:
            build(case, stack)
            # On a busy machine the responder may bind its port after the first initiation.
            case.hosts[0].run("ping", "-c", "1", "-w", "30", "10.98.0.2", check=False)
            case.handshakes.append(latest_handshake(case))
            case.ping = case.hosts[0].popen(
                "ping", "-n", "-i", "1", "-w", str(REKEY_AFTER_SECONDS + SPARE_SECONDS), "fd98::2"
            )
        for case in CASES:
            assert case.ping is not None
            output, _ = case.ping.communicate(timeout=REKEY_AFTER_SECONDS + 60)
            case.lost = output.splitlines()[-2] if output else "nothing"
            case.handshakes.append(latest_handshake(case))
        yield {str(case): case for case in CASES}


@pytest.mark.parametrize("name", NAMES)
def test_a_session_is_made_and_renewed_without_a_lost_packet(
    cases: dict[str, Case], name: str
) -> None:
    case = cases[name]
    first, last = case.handshakes
    assert time.time() - REKEY_AFTER_SECONDS - 120 < first
    assert last >= first + REKEY_AFTER_SECONDS - 1
    sent, received = map(int, re.findall(r"(\d+) (?:packets transmitted|received)", case.lost))
    assert sent > REKEY_AFTER_SECONDS
    assert received == sent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("inner", ["10.98.0.", "fd98::"])
@pytest.mark.parametrize("sender", [1, 2])
def test_tcp_arrives_unchanged_in_both_directions(
    cases: dict[str, Case], name: str, inner: str, sender: int
) -> None:
    hosts = cases[name].hosts
    receiver = 3 - sender
    receiving = program(hosts[receiver - 1], "tcp_receive", f"{inner}{receiver}", "5000")
    sending = program(hosts[sender - 1], "tcp_send", f"{inner}{receiver}", "5000", "8")
    assert result(sending) == result(receiving)


def test_a_different_preshared_key_makes_no_session() -> None:
    for pair in (("holloway", "wireguard-go"), ("wireguard-go", "holloway")):
        with ExitStack() as stack:
            case = Case(*pair, outer=4, psk=True)
            build(case, stack)
            case.hosts[0].write("/run/psk", Key(bytes(range(2, 34))).base64)
            peer = case.hosts[0].run(WG["original"], "show", "wg0", "peers").stdout.strip()
            case.hosts[0].run(WG["original"], "set", "wg0", "peer", peer,
                              "preshared-key", "/run/psk")  # fmt: skip
            case.hosts[0].run("ping", "-c", "2", "-W", "1", "10.98.0.2", check=False)
            assert latest_handshake(case) == 0
