"""`wg` drives real devices, ours and others', to the same state as the original drives them."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from hosts import DEVICES, start_device
from wg_pair import ORIGINAL, OURS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.interop, pytest.mark.slow, pytest.mark.spread]

PRIVATE, PA, PB, PC = (b64encode(bytes([n]) * 31 + b"\x40").decode() for n in (72, 8, 16, 24))
# No endpoint has a route, so that a device that begins a handshake sends and counts nothing.
CONFIGURATION = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51820
FwMark = 0xca6c

[Peer]
PublicKey = {PA}
PresharedKey = {PB}
Endpoint = 10.0.0.1:51820
AllowedIPs = 10.0.0.1/24, fd00::1/64
PersistentKeepalive = 25

[Peer]
PublicKey = {PB}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = [2001:db8::9]:9
"""
LESS = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51820
[Peer]
PublicKey = {PC}
AllowedIPs = 10.0.0.0/24
"""
STEPS: list[tuple[list[str], str]] = [
    (["setconf", "wg0", "/dev/stdin"], CONFIGURATION),
    (["set", "wg0", "peer", PA, "allowed-ips", "10.5.0.0/16", "endpoint", "192.0.2.5:5"], ""),
    (["addconf", "wg0", "/dev/stdin"], f"[Peer]\nPublicKey={PC}\nAllowedIPs=10.5.0.0/16\n"),
    (["set", "wg0", "peer", PB, "remove", "peer", PC, "persistent-keepalive", "7"], ""),
    (["set", "wg0", "peer", PA, "preshared-key", "/dev/null", "allowed-ips", ""], ""),
    (["set", "wg0", "peer", PA, "persistent-keepalive", "off"], ""),
    (["syncconf", "wg0", "/dev/stdin"], CONFIGURATION),
    (["syncconf", "wg0", "/dev/stdin"], LESS),
    (["set", "wg0", "listen-port", "51821", "fwmark", "off"], ""),
    (["set", "wg0", "private-key", "/dev/null"], ""),
    (["setconf", "wg0", "/dev/stdin"], "[Interface]\nListenPort=51820\n"),
]
# boringtun exits when an existing peer is changed, by either tool: it gets what it survives.
STEPS_FOR = {"boringtun": [STEPS[0], STEPS[2]], "wireguard-go": STEPS, "holloway": STEPS}
FORMS = [["show", "wg0", "dump"], ["show", "all", "dump"], ["showconf", "wg0"], ["show", "wg0"],
         ["show", "interfaces"]]  # fmt: skip


Printed = tuple[int, list[str], str]
"""Exit status, lines and errors."""


@dataclass
class Driven:
    """A host with a device `wg0`, and the steps to take."""

    host: Host
    steps: list[tuple[list[str], str]]


@pytest.fixture(params=sorted(DEVICES))
def driven(request: pytest.FixtureRequest) -> Iterator[Driven]:
    with Host("wg") as host:
        start_device(host, request.param, "wg0")
        yield Driven(host, STEPS_FOR[request.param])


def printed(host: Host, program: list[str]) -> list[Printed]:
    found = [host.run(*program, *form, check=False) for form in FORMS]
    return [(done.returncode, sorted_by_peer(done.stdout), done.stderr) for done in found]


def sorted_by_peer(text: str) -> list[str]:
    """Sort the lines: in some devices the order of peers differs from run to run."""
    return sorted(text.splitlines())


def printed_by_both(host: Host) -> tuple[list[Printed], list[Printed]]:
    """Return what both print of one state: counters may change between two reads, so read again."""
    while True:
        before, ours, after = (printed(host, program) for program in (ORIGINAL, OURS, ORIGINAL))
        if before == after:
            return ours, after


def drive(driven: Driven, program: list[str]) -> list[tuple[int, str, list[str]]]:
    """Take all steps with one program; the state after each, as the original sees it."""
    states = []
    for arguments, stdin in driven.steps:
        done = driven.host.run(*program, *arguments, stdin=stdin, check=False)
        dump = driven.host.run(*ORIGINAL, "show", "wg0", "dump").stdout
        states.append((done.returncode, done.stderr, sorted_by_peer(dump)))
    return states


def test_each_step_leads_to_the_state_that_the_original_leads_to(driven: Driven) -> None:
    theirs = drive(driven, ORIGINAL)
    assert drive(driven, OURS) == theirs
    assert {status for status, _, _ in theirs} == {0}


def test_each_state_is_printed_as_the_original_prints_it(driven: Driven) -> None:
    for arguments, stdin in driven.steps:
        driven.host.run(*OURS, *arguments, stdin=stdin)
        ours, theirs = printed_by_both(driven.host)
        assert ours == theirs


def test_a_thousand_peers_are_set_and_shown(driven: Driven) -> None:
    peers = "".join(
        f"[Peer]\nPublicKey={b64encode(number.to_bytes(31, 'big') + b'@').decode()}\n"
        f"AllowedIPs=10.{number >> 8}.{number & 255}.0/24,fd00:{number:x}::/32\n"
        for number in range(1, 1001)
    )
    driven.host.run(*OURS, "setconf", "wg0", "/dev/stdin", stdin=peers)
    ours, theirs = (driven.host.run(*program, "show", "wg0", "allowed-ips").stdout
                    for program in (OURS, ORIGINAL))  # fmt: skip
    assert sorted_by_peer(ours) == sorted_by_peer(theirs)
    assert len(ours.splitlines()) == 1000
