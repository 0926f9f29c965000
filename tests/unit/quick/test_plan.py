"""The plan as text: the lines that `wg-quick up` prints for a configuration and a host."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Peer
from holloway.netlink.route import Route
from holloway.quick import plan
from holloway.quick.facts import Facts
from holloway.quick.network_steps import AddRoutes
from holloway.quick.steps import Reordered, Step
from holloway.text.quick import QuickConfig, parse_quick

GUIDE = """
[Interface]
PrivateKey = {key}
ListenPort = 51000
Address = 10.10.11.10/24

[Peer]
# office
PublicKey = {key}
Endpoint = wg.example.com:51000 # comment
AllowedIPs = 10.10.11.0/24, 10.10.10.0/24
"""


def device(*peers: str) -> Device:
    """Return a device whose peers have these allowed IPs, one string for each peer."""
    return Device(
        "wg0",
        peers=tuple(
            Peer(
                Key(bytes([number]) * 32),
                allowed_ips=tuple(AllowedIP.parse(each) for each in allowed.split()),
            )
            for number, allowed in enumerate(peers, 1)
        ),
    )


def texts(steps: list[Step]) -> list[str]:
    return [line for step in steps for line in step.text.split("\n")]


def routes(config: str, allowed: str, covered: str = "", tables: str = "") -> list[str]:
    """Return the planned routes for settings of `[Interface]` and allowed IPs."""
    facts = Facts(
        covered=tuple(map(ip_network, covered.split())),
        tables=dict.fromkeys(tables.split(), 77),
    )
    steps = plan.route("wg0", parse_quick(f"[Interface]\n{config}"), device(allowed), facts)
    return texts(steps)


def mtu(config: str, **facts: object) -> str:
    config_ = parse_quick(f"[Interface]\n{config}")
    return texts(plan.address("wg0", config_, Facts(**facts)))[-1]  # type: ignore[arg-type]


def test_the_guides_configuration_gives_the_guides_five_lines():
    config = parse_quick(GUIDE)
    facts = Facts(paths=(1500,), covered=(ip_network("10.10.11.0/24"),))
    steps = [
        *plan.create("wg0", config, DeviceUpdate),
        *plan.address("wg0", config, facts),
        *plan.route("wg0", config, device("10.10.11.0/24 10.10.10.0/24"), facts),
    ]
    assert texts(steps) == [
        "ip link add wg0 type wireguard",
        "wg setconf wg0 /dev/fd/63",
        "ip -4 address add 10.10.11.10/24 dev wg0",
        "ip link set mtu 1420 up dev wg0",
        "ip -4 route add 10.10.10.0/24 dev wg0",
    ]


def test_addresses_come_in_the_order_and_spelling_of_the_file():
    config = parse_quick(
        "[Interface]\nAddress = 10.0.0.1/24,fd00::1/64\nAddress = 10.1.1.1\naddress=FD00::0002"
    )
    assert texts(plan.address("wg0", config, Facts())) == [
        "ip -4 address add 10.0.0.1/24 dev wg0",
        "ip -6 address add fd00::1/64 dev wg0",
        "ip -4 address add 10.1.1.1 dev wg0",
        "ip -6 address add FD00::0002 dev wg0",
        "ip link set mtu 1420 up dev wg0",
    ]


def test_hooks_run_in_their_place_with_the_interface_name():
    config = parse_quick("[Interface]\nPreUp = a %i\nPreUp = b # %i\nPostUp = c %i%i; d")
    assert texts(plan.create("wg0", config, DeviceUpdate)) == [
        "ip link add wg0 type wireguard",
        "a wg0",
        "b # wg0",
        "wg setconf wg0 /dev/fd/63",
    ]
    assert texts(plan.route("wg0", config, device("10.0.0.0/8"), Facts())) == [
        "ip -4 route add 10.0.0.0/8 dev wg0",
        "c wg0wg0; d",
    ]


def test_the_mtu_of_the_file_wins():
    assert mtu("MTU = 1380", paths=(9000,)) == "ip link set mtu 1380 up dev wg0"


def test_the_mtu_is_80_less_than_the_smallest_path_mtu_to_a_peer():
    assert mtu("", paths=(9000, 1458, 1500)) == "ip link set mtu 1378 up dev wg0"


def test_without_a_reachable_peer_the_default_route_gives_the_mtu():
    assert mtu("", default_path=9000) == "ip link set mtu 8920 up dev wg0"


def test_without_any_route_the_mtu_is_1420():
    assert mtu("") == "ip link set mtu 1420 up dev wg0"


def test_routes_are_ordered_from_the_longest_prefix_to_the_shortest():
    assert routes("", "10.0.0.0/8 10.0.0.2/32 fd00::/64 10.0.0.1/32 fd00::/16 11.0.0.0/8") == [
        "ip -6 route add fd00::/64 dev wg0",
        "ip -4 route add 10.0.0.2/32 dev wg0",
        "ip -4 route add 10.0.0.1/32 dev wg0",
        "ip -6 route add fd00::/16 dev wg0",
        "ip -4 route add 11.0.0.0/8 dev wg0",
        "ip -4 route add 10.0.0.0/8 dev wg0",
    ]


@pytest.mark.parametrize(
    ("allowed", "covered", "expected"),
    [
        ("10.10.11.0/24", "10.10.11.0/24", []),
        ("10.10.11.2/32", "10.10.11.0/24", []),
        ("10.10.11.0/24", "10.10.11.0/25", ["ip -4 route add 10.10.11.0/24 dev wg0"]),
        ("10.10.12.0/24", "10.10.11.0/24", ["ip -4 route add 10.10.12.0/24 dev wg0"]),
        ("10.10.11.0/24", "::/0", ["ip -4 route add 10.10.11.0/24 dev wg0"]),
        ("fd00:1::/64", "fd00::/16", []),
        ("fe80::1/128", "fe80::/64", []),
        ("fd00:1::/64", "0.0.0.0/0", ["ip -6 route add fd00:1::/64 dev wg0"]),
    ],
)
def test_a_route_is_omitted_if_one_on_the_interface_covers_it(
    allowed: str, covered: str, expected: list[str]
):
    assert routes("", allowed, covered) == expected


def test_table_auto_equals_no_table():
    assert routes("Table = auto", "10.0.0.0/8", "10.0.0.0/8") == []


def test_table_off_adds_no_route_but_runs_the_hooks():
    assert routes("Table = off\nPostUp = true", "10.0.0.0/8 0.0.0.0/0") == ["true"]


def test_a_table_gets_every_route_even_if_another_covers_it():
    assert routes("Table = 1000", "10.0.0.0/8 0.0.0.0/0", "10.0.0.0/8") == [
        "ip -4 route add 10.0.0.0/8 dev wg0 table 1000",
        "ip -4 route add 0.0.0.0/0 dev wg0 table 1000",
    ]


def test_a_table_may_be_named():
    assert routes("Table = vpn", "10.0.0.0/8", tables="vpn") == [
        "ip -4 route add 10.0.0.0/8 dev wg0 table vpn"
    ]
    config = QuickConfig(table="vpn")
    (step,) = plan.route("wg0", config, device("10.0.0.0/8"), Facts(tables={"vpn": 77}))
    assert isinstance(step, AddRoutes)
    assert step.routes == (Route(ip_network("10.0.0.0/8"), 77),)


@pytest.mark.parametrize("table", ["0", "-1", "4294967296", "nowhere", "1x"])
def test_an_invalid_table_is_refused(table: str):
    with pytest.raises(ValueError, match=table):
        plan.table_number(table, {})


DEFAULT_IPV4 = [
    "ip -4 route add 0.0.0.0/0 dev wg0 table 51820",
    "ip -4 rule add not fwmark 51820 table 51820",
    "ip -4 rule add table main suppress_prefixlength 0",
    "sysctl -q net.ipv4.conf.all.src_valid_mark=1",
    "nft -f /dev/fd/63",
]
DEFAULT_IPV6 = [
    "ip -6 route add ::/0 dev wg0 table 51820",
    "ip -6 rule add not fwmark 51820 table 51820",
    "ip -6 rule add table main suppress_prefixlength 0",
    "nft -f /dev/fd/63",
]


def test_the_guides_default_gateway_gives_the_guides_eleven_lines():
    hook = "wg set %i private-key /etc/wireguard/%i.key"
    config = parse_quick(f"[Interface]\nPostUp = {hook}\nAddress = 10.90.90.1/24")
    facts = Facts(covered=(ip_network("10.90.90.0/24"),))
    steps = [
        *plan.create("wg0", config, DeviceUpdate),
        *plan.address("wg0", config, facts),
        *plan.route("wg0", config, device("0.0.0.0/0"), facts),
    ]
    assert texts(steps) == [
        "ip link add wg0 type wireguard",
        "wg setconf wg0 /dev/fd/63",
        "ip -4 address add 10.90.90.1/24 dev wg0",
        "ip link set mtu 1420 up dev wg0",
        "wg set wg0 fwmark 51820",
        *DEFAULT_IPV4,
        "wg set wg0 private-key /etc/wireguard/wg0.key",
    ]


def test_both_default_routes_share_a_mark_and_come_last():
    found = routes("", "0.0.0.0/0 10.0.0.0/8 ::/0")
    first = ["ip -4 route add 10.0.0.0/8 dev wg0", "wg set wg0 fwmark 51820"]
    assert found == [*first, *DEFAULT_IPV6, *DEFAULT_IPV4]


def test_a_default_route_goes_to_the_table_of_the_mark_that_is_set():
    marked = replace(device("::/0"), fwmark=0x20)
    steps = plan.route("wg0", QuickConfig(), marked, Facts(free_table=51821))
    assert texts(steps) == [line.replace("51820", "32") for line in DEFAULT_IPV6]


def test_a_default_route_is_protected_before_it_takes_effect():
    taking = plan.route("wg0", QuickConfig(), device("0.0.0.0/0"), Facts())[-1]
    assert isinstance(taking, Reordered)
    assert [step.text for step in taking.applied] == [
        "sysctl -q net.ipv4.conf.all.src_valid_mark=1",
        "nft -f /dev/fd/63",
        "ip -4 rule add not fwmark 51820 table 51820",
        "ip -4 rule add table main suppress_prefixlength 0",
        "ip -4 route add 0.0.0.0/0 dev wg0 table 51820",
    ]


def test_a_setting_that_is_already_right_is_printed_and_not_written():
    taking = plan.route("wg0", QuickConfig(), device("0.0.0.0/0"), Facts(valid_mark=True))[-1]
    assert isinstance(taking, Reordered)
    assert len(taking.printed) == len(taking.applied) + 1


def test_the_same_network_at_two_peers_is_one_route():
    twice = device("10.0.0.0/8", "10.0.0.0/8")
    steps = plan.route("wg0", QuickConfig(), twice, Facts())
    assert texts(steps) == ["ip -4 route add 10.0.0.0/8 dev wg0"]


def test_ten_thousand_routes_are_planned_without_delay():
    allowed = " ".join(f"10.{n >> 8}.{n & 255}.0/24" for n in range(10_000))
    covered = " ".join(f"11.{n >> 8}.{n & 255}.0/24" for n in range(10_000))
    assert len(routes("", allowed, covered)) == 10_000
