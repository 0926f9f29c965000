"""Behaviour of wireguard-tools after 2021, which the original here lacks: ours has it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from scripted_device import ScriptedDevice
from wg_pair import ALLOWED_IPS_USAGE, FULL, HEX_A, ORIGINAL, OURS, PA, PC, ZERO, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PEER = ["set", "hw0", "peer", PA]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Host("wg") as host:
        path = Path(f"/proc/{host.pid}/root/run/wireguard/hw0.sock")
        with ScriptedDevice(path, FULL) as device:
            yield Pair(host, device)


def test_each_endpoint_stands_after_its_interface(pair: Pair) -> None:
    # The original names the interface once; tools after 2021, and ours, in each row.
    theirs = pair.run(ORIGINAL, "show", "all", "endpoints").output
    ours = pair.run(OURS, "show", "all", "endpoints").output
    assert theirs.startswith(b"hw0\t")
    rows = theirs.removeprefix(b"hw0\t").splitlines(keepends=True)
    assert ours == b"".join(b"hw0\t" + row for row in rows)


@pytest.mark.parametrize("arguments", [["set"], ["set", "-h"], ["set", "hw0"]])
def test_the_usage_of_set_tells_of_signs(pair: Pair, arguments: list[str]) -> None:
    theirs, ours = pair.run(ORIGINAL, *arguments), pair.run(OURS, *arguments)
    assert (ours.status, ours.output) == (theirs.status, theirs.output)
    assert ours.errors.decode() == theirs.errors.decode().replace(*ALLOWED_IPS_USAGE)
    assert ours.errors != theirs.errors


INCREMENTS = [
    ("+10.0.0.1/32", ["allowed_ip=10.0.0.1/32"]),
    ("-10.0.0.1/32", ["allowed_ip=-10.0.0.1/32"]),
    (" + 10.0.0.0 / 8 , - fd00:: ", ["allowed_ip=-fd00::/128", "allowed_ip=10.0.0.0/8"]),
    ("10.0.0.0/8,-1.1.1.1", ["allowed_ip=-1.1.1.1/32", "allowed_ip=10.0.0.0/8"]),
    ("+1.1.1.1,-1.1.1.1", ["allowed_ip=-1.1.1.1/32"]),
    ("-1.1.1.1,+1.1.1.1", ["allowed_ip=-1.1.1.1/32", "allowed_ip=1.1.1.1/32"]),
]


@pytest.mark.parametrize(("value", "lines"), INCREMENTS)
def test_signs_before_networks_add_and_take_away(pair: Pair, value: str, lines: list[str]) -> None:
    outcome = pair.run(OURS, *PEER, "allowed-ips", value)
    (request,) = outcome.requests
    assert request.split() == ["set=1", f"public_key={HEX_A}", *lines]
    text = f"[Peer]\nPublicKey={PA}\nAllowedIPs={value}\n".encode()
    assert pair.run(OURS, "addconf", "hw0", "/dev/stdin", stdin=text).requests == [request]


def test_syncconf_turns_off_what_the_file_no_longer_has(pair: Pair) -> None:
    text = f"[Peer]\nPublicKey={PA}\n[Peer]\nPublicKey={PC}\n".encode()
    theirs = pair.run(ORIGINAL, "syncconf", "hw0", "/dev/stdin", stdin=text)
    ours = pair.run(OURS, "syncconf", "hw0", "/dev/stdin", stdin=text)
    # The original leaves both as they are; tools after 2021, and ours, do not.
    gone = f"preshared_key={ZERO}\npersistent_keepalive_interval=0\n"
    named = f"public_key={HEX_A}\n"
    assert ours.requests[1] == theirs.requests[1].replace(named, named + gone)


@pytest.mark.parametrize("text", ["", f"[Peer]\nPublicKey={PA}\n"])
def test_syncconf_where_one_side_has_no_peers_replaces_them(pair: Pair, text: str) -> None:
    pair.device.answer = FULL if not text else "listen_port=1\nerrno=0\n\n"
    outcome = pair.equal("syncconf", "hw0", "/dev/stdin", stdin=text.encode())
    assert "replace_peers=true" in outcome.requests[-1]
