"""For any two configurations A and B: `up A`, then `reload B`, gives what a fresh `up B` gives."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from holloway.lab import Host
from quick_host import PEER_KEYS, QuickHost, outputs, peer, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

# Each takes seconds: a third of what the profile has, 20 or, in `make thorough`, 666.
EXAMPLES = settings().max_examples // 3
pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(60 * EXAMPLES)]

ADDRESSES = [
    "10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/16", "10.2.0.1/32", "10.2.0.1/24",
    "fd00:1::1/64", "fd00:1::2/64", "fd00:2::1/128", "fd00:1::1/48",
]  # fmt: skip
NETWORKS = [
    "0.0.0.0/0", "::/0", "10.1.0.0/24", "10.1.0.0/16", "10.2.0.0/24", "10.2.0.7/32", "10.3.0.0/16",
    "fd00:1::/64", "fd00:2::1/128", "fd00:3::/48", "0.0.0.0/1",
]  # fmt: skip
LOOKED_AT = (
    "ip -o address show dev wg0 | sed 's/^[0-9]*//; s/valid_lft.*//'",
    "ip link show dev wg0 | sed -n 's/.* mtu \\([0-9]*\\).*/\\1/p'",
    "ip route show table all dev wg0",
    "ip -6 route show table all dev wg0 | sort",
    "ip rule",
    "ip -6 rule",
    "nft list ruleset | sort",
    "cat /etc/resolv.conf",
    "wg showconf wg0",
)


@pytest.fixture(scope="module")
def host() -> Iterator[QuickHost]:
    with Host("hwq-equal") as host:
        wire(host)
        host.run("ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.7", "mtu", "1458")
        host.run("ip", "route", "add", "default", "via", "192.0.2.7")
        yield QuickHost(host)


@st.composite
def peers(draw: st.DrawFn) -> str:
    numbers = draw(st.lists(st.integers(0, 2), unique=True))
    networks = draw(st.lists(st.sampled_from(NETWORKS), unique=True))
    text = ""
    for number in numbers:
        # An allowed IP belongs to one peer; so the networks are dealt out.
        allowed = ", ".join(networks[number::3])
        options = [
            f"Endpoint = {draw(st.sampled_from(['192.0.2.7:1', '198.51.100.2:2']))}",
            *draw(st.sampled_from([[], ["PersistentKeepalive = 25"]])),
            *draw(st.sampled_from([[], [f"PresharedKey = {PEER_KEYS[3]}"]])),
        ]
        section = peer(allowed, *options, number=number)
        text += section if allowed else section.replace("AllowedIPs = \n", "")
    return text


@st.composite
def configurations(draw: st.DrawFn) -> tuple[str, str]:
    addresses = draw(st.lists(st.sampled_from(ADDRESSES), unique_by=lambda a: a.split("/")[0]))
    lines = [
        f"Address = {', '.join(addresses)}",
        *draw(st.sampled_from([[], ["MTU = 1300"]])),
        *draw(st.sampled_from([[], [], ["Table = auto"], ["Table = off"], ["Table = 777"]])),
        *draw(st.sampled_from([[], [], ["FwMark = 77"], ["FwMark = 51821"], ["FwMark = off"]])),
        *draw(st.sampled_from([[], ["DNS = 10.1.0.53"], ["DNS = 10.1.0.54, home"]])),
    ]
    return "\n".join(lines), draw(peers())


def look(host: QuickHost) -> dict[str, object]:
    found: dict[str, object] = {**outputs(host.host, LOOKED_AT)}
    shown = str(found["wg showconf wg0"])
    found["wg showconf wg0"] = sorted(map(ordered, shown.split("[Peer]")))
    found["ip rule"] = without_numbers(found["ip rule"])
    found["ip -6 rule"] = without_numbers(found["ip -6 rule"])
    return found


def ordered(section: str) -> list[str]:
    """A section's lines, and the values of its allowed IPs, in an order of their own."""
    lines = section.strip().splitlines()
    return sorted(" ".join(sorted(re.split(r"[ ,]+", line))) for line in lines)


def without_numbers(rules: object) -> list[str]:
    """Rules in their order: the kernel gives a new one the number below the first."""
    return [line.partition(":")[2] for line in str(rules).splitlines()]


def run(host: QuickHost, command: str) -> str:
    done = host.wg_quick(command, "wg0")
    assert done.returncode == 0, done.stderr
    return done.stderr


@given(before=configurations(), after=configurations())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Without shrinking, which would run many more.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_up_and_reload_are_as_a_fresh_up(
    host: QuickHost, before: tuple[str, str], after: tuple[str, str]
):
    start = host.state()
    try:
        host.configure(*before)
        run(host, "up")
        host.configure(*after)
        note(run(host, "reload"))
        reloaded = look(host)
        assert run(host, "reload") == ""
        run(host, "down")
        between = host.state()
        note(run(host, "up"))
        fresh = look(host)
    finally:
        host.wg_quick("down", "wg0")
    assert reloaded == fresh
    for command, output in start.items():
        if "/etc/wireguard" not in command and "valid_mark" not in command:
            assert between[command] == output
