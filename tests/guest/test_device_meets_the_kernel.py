"""Our device on one end of a cable, the kernel's WireGuard on the other."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from guest.configurations import PSK
from guest.machine import OURS, TAP
from holloway.key import Key
from hosts import BIN, REPOSITORY, WG, KeyPair, program, result, start_device

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guest.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.guest]

TRAFFIC = [str(BIN / "python"), str(REPOSITORY / "tests" / "traffic.py")]
START = '"$@" >/run/received 2>&1 & until grep -q ready /run/received; do sleep 0.1; done'
ADDRESSES = {4: ("10.77.0.1", "10.77.0.2"), 6: ("fd77::1", "fd77::2")}


@dataclass
class Tunnel:
    """wg0 in the host outside, by our device, and wg0 of the guest's kernel."""

    machine: Machine
    outside: KeyPair
    inside: KeyPair

    def meet(self, version: int, psk: str, *, learns: str) -> None:
        """Configure both; the one that `learns` knows no endpoint, so that the other begins."""
        near, far = (f"[{a}]:51820" if version == 6 else f"{a}:51820" for a in ADDRESSES[version])
        more = f"PresharedKey = {psk}\n" if psk else ""
        endpoint = {"outside": f"Endpoint = {far}\n", "inside": f"Endpoint = {near}\n"}
        endpoint[learns] = ""
        texts = {
            name: f"[Interface]\nPrivateKey = {own.private}\nListenPort = 51820\n[Peer]\n"
                  f"PublicKey = {other.public}\nAllowedIPs = {allowed}\n{more}{endpoint[name]}"
            for name, own, other, allowed in (
                ("outside", self.outside, self.inside, "10.78.0.2/32, fd78::2/128"),
                ("inside", self.inside, self.outside, "10.78.0.1/32, fd78::1/128"),
            )
        }  # fmt: skip
        self.machine.host.run(WG["holloway"], "setconf", "wg0", "/dev/stdin",
                              stdin=texts["outside"])  # fmt: skip
        self.machine.must(WG["holloway"], "setconf", "wg0", "/dev/stdin", stdin=texts["inside"])

    def ping_out(self, address: str) -> None:
        """From the guest."""
        self.machine.must("ping", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1300", address)

    def ping_in(self, address: str) -> None:
        """From the host outside."""
        self.machine.host.run("ping", "-c", "2", "-i", "0.2", "-W", "5", "-s", "1300", address)


@pytest.fixture(scope="module")
def cable(machine: Machine) -> Iterator[Machine]:
    """Addresses on the cable between the guest and the host outside."""
    for near, far in ADDRESSES.values():
        length, flags = ("64", ["nodad"]) if ":" in near else ("24", [])
        machine.host.run("ip", "address", "add", f"{near}/{length}", "dev", TAP, *flags)
        machine.must("ip", "address", "add", f"{far}/{length}", "dev", "eth0", *flags)
    machine.must("ip", "link", "set", "eth0", "up")
    yield machine
    machine.must("sh", "-c", "ip address flush dev eth0; ip link set eth0 down")
    machine.host.run("ip", "address", "flush", "dev", TAP)


@pytest.fixture
def tunnel(cable: Machine) -> Iterator[Tunnel]:
    private = [Key(os.urandom(32)).clamped() for _ in range(2)]
    script = ("ip address add 10.78.0.{0}/24 dev wg0; ip address add fd78::{0}/64 dev wg0 nodad;"
              "ip link set wg0 up")  # fmt: skip
    try:
        start_device(cable.host, "holloway", "wg0")
        cable.must("ip", "link", "add", "wg0", "type", "wireguard")
        cable.host.run("sh", "-c", script.format(1))
        cable.must("sh", "-c", script.format(2))
        yield Tunnel(cable, *(KeyPair(key.base64, key.public().base64) for key in private))
    finally:
        cable.run("ip", "link", "delete", "wg0")
        cable.host.run("ip", "link", "delete", "wg0", check=False)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("psk", ["", PSK], ids=["without", "with"])
def test_the_kernel_answers_us(tunnel: Tunnel, version: int, psk: str) -> None:
    tunnel.meet(version, psk, learns="inside")
    tunnel.ping_in("10.78.0.2")
    tunnel.ping_out("fd78::1")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("psk", ["", PSK], ids=["without", "with"])
def test_we_answer_the_kernel(tunnel: Tunnel, version: int, psk: str) -> None:
    tunnel.meet(version, psk, learns="outside")
    tunnel.ping_out("10.78.0.1")
    tunnel.ping_in("fd78::2")


def test_another_preshared_key_lets_nothing_pass(tunnel: Tunnel) -> None:
    tunnel.meet(4, PSK, learns="inside")
    tunnel.ping_in("10.78.0.2")
    tunnel.machine.must("wg", "set", "wg0", "peer", tunnel.outside.public,
                        "preshared-key", "/dev/null")  # fmt: skip
    tunnel.machine.host.run("ip", "link", "set", "wg0", "down")
    tunnel.machine.host.run("ip", "link", "set", "wg0", "up")
    done = tunnel.machine.host.run("ping", "-c", "1", "-W", "1", "10.78.0.2", check=False)
    assert done.returncode == 1


def test_both_ends_count_the_same_bytes(tunnel: Tunnel) -> None:
    tunnel.meet(4, "", learns="inside")
    tunnel.ping_in("10.78.0.2")
    near = tunnel.machine.host.run(WG["holloway"], "show", "wg0", "transfer").stdout.split()
    far = tunnel.machine.must("wg", "show", "wg0", "transfer").split()
    assert int(near[1]) > 2 * 1300
    assert near[1:] == [far[2], far[1]]


def test_a_stream_passes_whole_both_ways(tunnel: Tunnel) -> None:
    tunnel.meet(4, PSK, learns="inside")
    tunnel.ping_in("10.78.0.2")
    host, machine = tunnel.machine.host, tunnel.machine
    with program(host, "tcp_receive", "10.78.0.1", "5000") as receiving:
        sending = machine.must(*TRAFFIC, "tcp_send", "10.78.0.1", "5000", "4")
        assert result(receiving) == json.loads(sending.splitlines()[-1])
    machine.must("sh", "-c", START, "start", *TRAFFIC, "tcp_receive", "10.78.0.2", "5000")
    sent = result(program(host, "tcp_send", "10.78.0.2", "5000", "4"))
    machine.must("sh", "-c", "until grep -q hash /run/received; do sleep 0.1; done")
    assert json.loads(machine.must("tail", "-n", "1", "/run/received")) == sent


def test_the_interface_looks_as_the_kernels(machine: Machine) -> None:
    machine.must("ip", "link", "add", "wg8", "type", "wireguard")
    machine.must("env", f"PATH={OURS}", "holloway-device", "wg9")
    try:
        shown = {
            name: machine.must(
                "sh", "-c", f"ip link set {name} up; ip address add 10.1.1.1/24 dev {name};"
                f"ip address show {name} | tail -n +1", name
            ).replace(name, "wg").split(": ", 1)[1]
            for name in ("wg8", "wg9")
        }  # fmt: skip
        assert shown["wg9"] == shown["wg8"]
    finally:
        machine.must("sh", "-c", "ip link delete wg8; ip link delete wg9")


def test_the_same_changes_make_the_same_device(machine: Machine) -> None:
    machine.must("ip", "link", "add", "wg8", "type", "wireguard")
    machine.must("env", f"PATH={OURS}", "holloway-device", "wg9")
    try:
        script = str(REPOSITORY / "tests" / "guest" / "same_changes.py")
        changed = machine.must(str(BIN / "python"), script, "wg8", "wg9", "300",
                               seconds=100)  # fmt: skip
        assert changed == "300\n"
    finally:
        machine.must("sh", "-c", "ip link delete wg8; ip link delete wg9")
