"""Our netlink beside pyroute2's, in namespaces: what it reads, and what comes of its changes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from holloway.lab import Host

pytestmark = pytest.mark.root

ORACLE = str(Path(__file__).parent.parent / "netlink_oracle.py")
NETWORK = """
link add one type veth peer name far
link set far up
link set one mtu 1400 up
address add 192.0.2.1/24 dev one
address add 198.51.100.1 peer 198.51.100.2/32 dev one
address add 2001:db8::1/64 dev one nodad
route add 10.5.0.0/16 dev one mtu 1300
route add 10.6.0.0/16 dev one table 777 proto static
route add default dev one table 70000
route add blackhole 10.7.0.0/16
-6 route add default dev one table 70000
-6 route add fd00:5::/48 dev one
rule add not fwmark 51820 table 70000
rule add table main suppress_prefixlength 0
rule add from 10.0.0.0/8 table 7 priority 5
-6 rule add fwmark 5/7 prohibit
link add two type bridge
"""
# Without what differs from one link to the next, or changes by itself a moment later.
NUMBERS = "sed 's/^[0-9]*: //; s/link.ether [^ ]*//; s/NO-CARRIER,//; s/ state [A-Z]*//'"
STATE = (
    f"ip -o -d link show | {NUMBERS}",
    f"ip -o address show | {NUMBERS} | sed 's/ tentative//'",
    "(ip route show table all; ip -6 route show table all) | sed 's/ linkdown//'",
    "ip rule; ip -6 rule",
    "tc qdisc show dev new | cut -d' ' -f2,4-5",
)


def test_links_addresses_routes_and_rules_are_read_as_pyroute2_reads_them() -> None:
    with Host("netlink") as host:
        for line in NETWORK.strip().splitlines():
            host.run("ip", *line.split())
        ours, theirs = (
            json.loads(host.run(sys.executable, ORACLE, "read", reader).stdout)
            for reader in ("holloway", "pyroute2")
        )
    assert all(ours.values())
    # `RouteSocket` has IPv4 first.
    assert sorted(ours["addresses"]) == sorted(theirs["addresses"])
    assert ours | {"addresses": []} == theirs | {"addresses": []}


def test_changes_are_as_if_pyroute2_had_made_them() -> None:
    states = []
    for writer in ("holloway", "pyroute2"):
        with Host("netlink") as host:
            host.run(sys.executable, ORACLE, "change", writer)
            states.append([host.run("sh", "-c", command).stdout for command in STATE])
    ours, theirs = states
    assert all(ours)
    assert ours == theirs
