"""`wg` and the original change the kernel's own interfaces in the same way."""

from __future__ import annotations

import random
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest

from guest.configurations import FULL, ONE, PA, PB, PC, PRIVATE, PSK
from guest.machine import Done

if TYPE_CHECKING:
    from guest.machine import Machine
    from guest.side_by_side import SideBySide

pytestmark = [pytest.mark.root, pytest.mark.guest]


def test_a_port_in_use_is_refused_in_the_same_words(machine: Machine, pair: SideBySide) -> None:
    machine.must("sh", "-c", "wg set wg0 listen-port 51000; ip link set wg0 up; ip link set wg1 up")
    refused = pair.equal("set", "wg1", "listen-port", "51000")
    assert refused.errors == "Unable to modify interface: Address already in use\n"


def test_setconf_addconf_and_syncconf_do_the_same(pair: SideBySide) -> None:
    pair.change("setconf", "/dev/stdin", stdin=FULL.replace("ListenPort = 51000\n", ""))
    pair.change("addconf", "/dev/stdin", stdin=ONE)
    pair.change("addconf", "/dev/stdin", stdin=f"[Peer]\nPublicKey = {PSK}\n")
    # Of what the file no longer has, newer tools take away more than the original: see below.
    kept = f"{ONE}PresharedKey = {PSK}\nPersistentKeepalive = 25\n"
    pair.change("syncconf", "/dev/stdin", stdin=kept)
    pair.change("setconf", "/dev/stdin", stdin=ONE)
    pair.change("setconf", "/dev/null")


def test_syncconf_takes_away_what_the_file_no_longer_has(pair: SideBySide) -> None:
    pair.ours("setconf", "wg0", "/dev/stdin", stdin=FULL)
    pair.ours("syncconf", "wg0", "/dev/stdin", stdin=ONE)
    assert pair.state("wg0") == [
        "(none)\t(none)\t0x5",
        f"{PA}\t(none)\t192.0.2.1:7\t10.3.0.0/16\toff",
    ]


def test_set_does_the_same(machine: Machine, pair: SideBySide) -> None:
    machine.write("/tmp/key", PRIVATE)
    pair.change("set", "private-key", "/tmp/key", "fwmark", "0x10",
                "peer", PA, "preshared-key", "/tmp/key", "allowed-ips", "10.0.0.0/8,fd00::/64",
                "endpoint", "192.0.2.1:5", "persistent-keepalive", "25",
                "peer", PB, "allowed-ips", "10.1.0.0/16")  # fmt: skip
    pair.change("set", "peer", PB, "allowed-ips", "10.0.0.0/8", "peer", PC)
    pair.change("set", "fwmark", "off", "peer", PA, "preshared-key", "/dev/null", "allowed-ips", "",
                "persistent-keepalive", "off", "peer", PB, "remove")  # fmt: skip
    pair.change("set", "private-key", "/dev/null", "peer", PC, "endpoint", "[2001:db8::1]:9")


def test_thousands_of_peers_pass_whole_in_many_messages(machine: Machine, pair: SideBySide) -> None:
    source = random.Random(1)
    machine.write("/tmp/large", "[Interface]\n" + "".join(
        f"[Peer]\nPublicKey = {b64encode(source.randbytes(32)).decode()}\n"
        f"PresharedKey = {PSK}\nEndpoint = 192.0.2.1:{number + 1}\n"
        f"AllowedIPs = 10.{number >> 8}.{number & 255}.0/24, fd00:{number:x}::/64\n"
        for number in range(1500)
    ))  # fmt: skip
    pair.change("setconf", "/tmp/large")
    assert pair.equal("show", "wg0", "dump").output.count("\n") == 1501
    pair.change("syncconf", "/tmp/large")
    pair.change("syncconf", "/dev/stdin", stdin=ONE)


def test_a_peer_with_ten_thousand_networks_passes_whole(machine: Machine, pair: SideBySide) -> None:
    networks = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(5000)]
    networks += [f"fd00:{number:x}::/32" for number in range(5000)]
    networks = [f"fd00:{number:x}::/32" if ":" in name else name
                for number, name in enumerate(networks)]  # fmt: skip
    machine.write("/tmp/wide", f"[Peer]\nPublicKey = {PA}\nAllowedIPs = 192.0.2.0/24\n"
                  f"[Peer]\nPublicKey = {PB}\nEndpoint = 192.0.2.1:5\n"
                  f"AllowedIPs = {', '.join(networks)}\n[Peer]\nPublicKey = {PC}\n")  # fmt: skip
    pair.change("setconf", "/tmp/wide")
    shown = pair.equal("show", "wg0", "allowed-ips").output
    assert shown.count("/") == 10_001 + 2 * shown.count("//")
    pair.change("addconf", "/tmp/wide")


def test_networks_are_taken_away_one_by_one(machine: Machine, pair: SideBySide) -> None:
    # The original of 2021 cannot; nor can a kernel before 6.16, by itself.
    before = ("peer", PA, "allowed-ips", "10.1.0.0/16,10.2.0.0/16,fd00::/64",
              "peer", PB, "allowed-ips", "10.3.0.0/16")  # fmt: skip
    machine.must("wg", "set", "wg0", *before)
    changed = pair.ours("set", "wg0", "fwmark", "7", "peer", PA, "allowed-ips",
                        "-10.2.0.0/16,-10.3.0.0/16,-fd00::/64,+10.4.0.0/16")  # fmt: skip
    assert changed == Done(0, "", "")
    assert pair.state("wg0") == [
        "(none)\t(none)\t0x7",
        f"{PA}\t(none)\t(none)\t10.1.0.0/16,10.4.0.0/16\toff",
        f"{PB}\t(none)\t(none)\t10.3.0.0/16\toff",
    ]
