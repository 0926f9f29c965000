"""`wg` and the original print the same for the kernel's interfaces and for other links."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from guest.configurations import FULL, ONE, PSK
from guest.side_by_side import SideBySide
from hosts import BIN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guest.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.guest]

FIELDS = [
    "public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys", "endpoints",
    "allowed-ips", "latest-handshakes", "persistent-keepalive", "transfer", "dump",
]  # fmt: skip


@pytest.fixture(scope="module")
def full(machine: Machine) -> Iterator[SideBySide]:
    """wg0 with all that can be set, an empty wg1, and a link that is not WireGuard."""
    machine.must("sh", "-c", "for name in wg0 wg1; do ip link add $name type wireguard; done")
    machine.must("/usr/bin/wg", "setconf", "wg0", "/dev/stdin", stdin=FULL)
    yield SideBySide(machine)
    machine.must("sh", "-c", "for name in wg0 wg1; do ip link delete $name; done")


@pytest.mark.parametrize("field", FIELDS)
def test_each_field_is_the_same(full: SideBySide, field: str) -> None:
    assert full.equal("show", "wg0", field).status == 0


@pytest.mark.parametrize("field", ["dump", "listen-port", "peers"])
def test_each_field_of_all_interfaces_is_the_same(full: SideBySide, field: str) -> None:
    assert full.equal("show", "all", field).output.startswith("wg0\t")


def test_interfaces_are_printed_for_people_in_the_same_words(full: SideBySide) -> None:
    shown = full.equal("show", WG_COLOR_MODE="always", WG_HIDE_KEYS="never")
    assert PSK in shown.output
    assert full.equal("show", "wg1").output == "interface: wg1\n"


def test_interfaces_are_listed_in_the_same_order(machine: Machine, full: SideBySide) -> None:
    machine.must("ip", "link", "add", "early", "type", "wireguard")
    try:
        assert full.equal("show", "interfaces").output == "wg0 wg1 early\n"
    finally:
        machine.must("ip", "link", "delete", "early")


def test_a_configuration_is_printed_the_same(full: SideBySide) -> None:
    assert "Endpoint = [fe80::1%lo]:9" in full.equal("showconf", "wg0").output
    full.equal("showconf", "wg1")


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "nosuch"), ("show", "lo"), ("show", "nosuch", "dump"), ("showconf", "nosuch"),
        ("showconf", "lo"), ("show", "fifteen-letters"), ("show", "sixteen--letters"),
        ("show", "x" * 300), ("show", ""), ("set", "nosuch", "listen-port", "5"),
        ("set", "lo", "fwmark", "5"),
        ("setconf", "nosuch", "/dev/null"), ("syncconf", "nosuch", "/dev/stdin"),
        ("addconf", "lo", "/dev/null"),
    ],
)  # fmt: skip
def test_what_is_no_interface_is_refused_in_the_same_words(
    full: SideBySide, arguments: tuple[str, ...]
) -> None:
    assert full.equal(*arguments, stdin=ONE).status == 1


@pytest.mark.parametrize("arguments", [("show", "wg0"), ("show",), ("set", "wg0", "fwmark", "5")])
def test_who_may_not_is_refused_in_the_same_words(
    machine: Machine, full: SideBySide, arguments: tuple[str, ...]
) -> None:
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
    machine.must("chmod", "-R", "a+rX", "/root")
    theirs = machine.run(*nobody, "/usr/bin/wg", *arguments)
    ours = machine.run(*nobody, str(BIN / "wg"), *arguments)
    assert ours == theirs
    assert "Operation not permitted" in ours.errors


def test_the_kernel_is_said_to_count_no_discards(full: SideBySide) -> None:
    shown = full.ours("show", "wg1", "discards")
    sentence = "wg1 is in the kernel, which does not count what it discards\n"
    assert (shown.status, shown.output, shown.errors) == (1, "", sentence)


def test_only_the_interfaces_of_the_own_namespace_are_seen(machine: Machine) -> None:
    machine.must("ip", "netns", "add", "apart")
    machine.must("ip", "-n", "apart", "link", "add", "wg7", "type", "wireguard")
    try:
        # Without the mounts that `ip netns exec` makes: /sys still shows the other namespace.
        inside = ("nsenter", "--net=/run/netns/apart", "--")
        ours = machine.run(*inside, str(BIN / "wg"), "show")
        assert ours.output == "interface: wg7\n"
        assert ours == machine.run(*inside, "/usr/bin/wg", "show")
    finally:
        machine.must("ip", "netns", "delete", "apart")
