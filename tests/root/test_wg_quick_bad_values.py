"""Each key of wg-quick with an invalid, an empty, a repeated and an overlong value.

An invalid value is refused before anything is done.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from holloway.lab import Host
from quick_host import QuickHost, peer

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.spread]

LONG = "x" * 100_000
DIGITS = "1" * 5_000
REFUSED = {
    "Address invalid": ("Address = 10.0.0.1/24/24", "line 4: Address"),
    "Address overlong": (f"Address = {LONG}", "line 4: Address"),
    "Address of many digits": (f"Address = 10.0.0.1/{DIGITS}", "line 4: Address"),
    "MTU invalid": ("MTU = 1.5", "line 4: MTU"),
    "MTU negative": ("MTU = -1", "line 4: MTU"),
    "MTU overlong": (f"MTU = {DIGITS}", "line 4: MTU"),
    "DNS invalid": ("DNS = 10.0.0.300", "line 4: DNS"),
    "DNS invalid IPv6": ("DNS = fd00::1::2", "line 4: DNS"),
    "DNS invalid domain": ("DNS = 10.0.0.1, a$b", "line 4: DNS"),
    "DNS overlong": (f"DNS = 10.0.0.1, {LONG}", "line 4: DNS"),
    "Table invalid": ("Table = no where", "line 4: Table"),
    "Table overlong": (f"Table = {LONG}", "line 4: Table"),
    "Table of many digits": (f"Table = {DIGITS}", "line 4: Table"),
    "SaveConfig invalid": ("SaveConfig = 1", "line 4: SaveConfig"),
    "SaveConfig empty": ("SaveConfig =", "line 4: SaveConfig"),
    "SaveConfig overlong": (f"SaveConfig = {LONG}", "line 4: SaveConfig"),
    "FwMark overlong": (f"FwMark = {DIGITS}", "line 4: "),
    "ListenPort overlong": (f"ListenPort = {DIGITS}", "line 4: "),
    "unknown": ("PostUpp = :", "line 4: "),
}
ACCEPTED = {
    "Address empty": ("Address =", "ip link set mtu 1420"),
    "Address repeated": ("Address = 10.0.0.1\nAddress = 10.0.0.2", "add 10.0.0.2 dev"),
    "MTU empty": ("MTU =", "mtu 1420 up"),
    "MTU repeated": ("MTU = 1300\nMTU = 1301", "mtu 1301 up"),
    "DNS empty": ("DNS =", "mtu 1420"),
    "DNS repeated": ("DNS = 10.0.0.1\nDNS = 10.0.0.2", "mount --bind"),
    "Table empty": ("Table =", "route add 10.10.11.2/32 dev wg0\n"),
    "Table repeated": ("Table = 7\nTable = 8", "dev wg0 table 8"),
    "SaveConfig repeated": ("SaveConfig = true\nSaveConfig = false", "mtu 1420"),
    "hook empty": ("PreUp =\nPostUp =\nPreDown =\nPostDown =", "[#] \n"),
    "hook repeated": ("PostUp = : 1\nPostUp = : 1", "[#] : 1\n[#] : 1\n"),
    "hook overlong": (f"PostUp = : {LONG}", f"[#] : {LONG}\n"),
}


@contextmanager
def quick_host() -> Iterator[QuickHost]:
    with Host("hwq-bad") as host:
        host.run("sh", "-c", "rm -f /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf")
        yield QuickHost(host)


@pytest.fixture(scope="module")
def host() -> Iterator[QuickHost]:
    """A host where nothing is up."""
    with quick_host() as host:
        yield host


@pytest.fixture(scope="module")
def running() -> Iterator[QuickHost]:
    """A host where wg0 is up, for all reloads that change nothing."""
    with quick_host() as host:
        host.configure("", peer())
        assert host.wg_quick("up", "wg0").returncode == 0
        yield host


@pytest.mark.parametrize("case", REFUSED)
def test_an_up_with_a_value_that_cannot_be_does_nothing(host: QuickHost, case: str):
    refused(host, "up", case)


@pytest.mark.parametrize("case", REFUSED)
def test_a_reload_with_a_value_that_cannot_be_changes_nothing(running: QuickHost, case: str):
    refused(running, "reload", case)


def refused(host: QuickHost, command: str, case: str) -> None:
    interface, reason = REFUSED[case]
    host.configure(interface, peer())
    before = host.state()
    done = host.wg_quick(command, "wg0")
    after = host.state()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"wg-quick: {reason}")
    assert "[#]" not in done.stderr
    assert "Traceback" not in done.stderr
    assert after == before


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_may_be_empty_repeated_or_long_is_taken_and_leaves_nothing(host: QuickHost, case: str):
    interface, printed = ACCEPTED[case]
    host.configure(interface, peer())
    before = host.state()
    up, again, down = (host.wg_quick(command, "wg0") for command in ("up", "reload", "down"))
    assert (up.returncode, again.returncode, down.returncode) == (0, 0, 0), up.stderr[-1000:]
    assert printed in up.stderr
    assert again.stderr == ""
    assert host.state() == before
