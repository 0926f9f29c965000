"""Reads or changes this namespace through our netlink code, or through pyroute2 for comparison.

    python netlink_oracle.py read|change holloway|pyroute2

`read` prints links, the addresses of `one`, routes and rules as JSON. `change` adds a link with
addresses, routes and rules, and deletes some of them again. The test runs it inside a host.
"""

from __future__ import annotations

import json
import socket
import sys
from ipaddress import ip_interface, ip_network
from typing import Any

from pyroute2 import IPRoute

from holloway.device.tun_settings import REPLACE, no_link_local, no_multicast, queue_length
from holloway.netlink import rtnetlink
from holloway.netlink.route import Route, RouteSocket, Rule
from holloway.netlink.rtnetlink import RTM_GETLINK, LinkMessage, RuleMessage
from holloway.netlink.socket import NETLINK_ROUTE, NetlinkSocket

FAMILIES = (2, 10)
ZEROS = {2: "0.0.0.0", 10: "::"}  # a default route has no destination
TABLE = 51820
MARK = 51820


def read_ours() -> dict[str, list[list[object] | None]]:
    with NetlinkSocket(NETLINK_ROUTE) as kernel, RouteSocket() as routes:
        links = map(LinkMessage, kernel.dump(RTM_GETLINK, rtnetlink.link()))
        addresses = routes.addresses("one")
        rules = [
            RuleMessage(answer)
            for family in FAMILIES
            for answer in kernel.dump(rtnetlink.RTM_GETRULE, rtnetlink.rule(family))
        ]
        return {
            "links": [[each.index, each.name, each.mtu, each.kind] for each in links],
            "addresses": [[str(each.interface), each.automatic] for each in addresses],
            "routes": [
                [str(each.network), each.table, each.manual] for each in routes.routes("one")
            ],
            "rules": [
                [each.table, each.priority, each.mark, each.inverted, each.suppressed_length]
                for each in rules
            ],
            "paths": [
                None if (found := routes.path(to, MARK)) is None else [found.link, found.mtu]
                for to in ("192.0.2.9", "10.5.0.1", "2001:db8::9", "203.0.113.1")
            ],
        }


def read_pyroute2() -> dict[str, list[list[object] | None]]:
    with IPRoute(strict_check=True) as route:
        (one,) = route.link_lookup(ifname="one")
        return {
            "links": [
                [each["index"], each.get_attr("IFLA_IFNAME"), each.get_attr("IFLA_MTU"),
                 each.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")]
                for each in route.get_links()
            ],
            "addresses": [
                [
                    f"{each.get_attr('IFA_LOCAL') or each.get_attr('IFA_ADDRESS')}"
                    f"/{each['prefixlen']}",
                    each.get_attr("IFA_PROTO") == 3,
                ]
                for each in route.get_addr(index=one)
            ],
            "routes": [
                [
                    f"{each.get_attr('RTA_DST') or ZEROS[family]}/{each['dst_len']}",
                    each.get_attr("RTA_TABLE"), each["proto"] == 3,
                ]
                for family in FAMILIES
                for each in route.get_routes(family=family)
                if each["type"] == 1 and each.get_attr("RTA_OIF") == one
            ],
            "rules": [
                [each.get_attr("FRA_TABLE"), each.get_attr("FRA_PRIORITY") or 0,
                 each.get_attr("FRA_FWMARK"), bool(each["flags"] & 2),
                 each.get_attr("FRA_SUPPRESS_PREFIXLEN")]
                for family in FAMILIES
                for each in route.get_rules(family=family)
            ],
            "paths": [
                path(route, to) for to in ("192.0.2.9", "10.5.0.1", "2001:db8::9", "203.0.113.1")
            ],
        }  # fmt: skip


def path(route: Any, to: str) -> list[object] | None:
    try:
        (found,) = route.route("get", dst=to, mark=MARK)
    except Exception as error:  # pyroute2's exception has the errno as its code
        assert getattr(error, "code", None) == 101  # noqa: PT017
        return None
    metrics = found.get_attr("RTA_METRICS")
    return [found.get_attr("RTA_OIF"), metrics.get_attr("RTAX_MTU") if metrics else None]


def set_up_as_a_tun(index: int) -> None:
    with NetlinkSocket(NETLINK_ROUTE) as kernel:
        for settings in (queue_length(index, 77), no_multicast(index), no_link_local(index)):
            kernel.request(rtnetlink.RTM_SETLINK, settings)
        kernel.request(rtnetlink.RTM_NEWQDISC, rtnetlink.qdisc(index, "pfifo"), REPLACE)


def change_ours() -> None:
    with RouteSocket() as route:
        route.add_link("new", "veth")
        set_up_as_a_tun(socket.if_nametoindex("new"))
        for text in ("10.1.0.1/24", "10.2.0.1/32", "fd00:1::1/64"):
            route.add_address("new", ip_interface(text))
        route.set_mtu_up("new", 1400)
        route.set_mtu("new", 1410)
        networks = [Route(ip_network(text)) for text in ("10.3.0.0/16", "fd00:3::/64")]
        route.add_routes("new", [*networks, Route(ip_network("0.0.0.0/0"), TABLE)])
        for version in (4, 6):
            route.add_rule(Rule(version, TABLE, unless_mark=MARK))
            route.add_rule(Rule(version, 254, suppress_default=True))
            route.add_rule(Rule(version, 7, priority=99))
        route.delete_address("new", ip_interface("10.2.0.1/32"))
        route.delete_routes("new", networks[:1])
        route.delete_rule(Rule(6, 7))
        route.add_link("gone", "veth")
        route.delete_link("gone")


def change_pyroute2() -> None:
    with IPRoute() as route:
        route.link("add", ifname="new", kind="veth")
        (new,) = route.link_lookup(ifname="new")
        route.link("set", index=new, txqlen=77)
        route.link("set", index=new, flags=0, change=rtnetlink.IFF_MULTICAST)
        no_link_local = {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]}
        route.link("set", index=new, IFLA_AF_SPEC={"attrs": [("AF_INET6", no_link_local)]})
        route.tc("replace", kind="pfifo", index=new, parent=rtnetlink.TC_H_ROOT)
        for address, length in (("10.1.0.1", 24), ("10.2.0.1", 32), ("fd00:1::1", 64)):
            route.addr("add", index=new, address=address, prefixlen=length)
        route.link("set", index=new, mtu=1400, state="up")
        route.link("set", index=new, mtu=1410)
        link_scope = {"oif": new, "scope": 253, "proto": 3}
        route.route("add", dst="10.3.0.0/16", **link_scope)
        route.route("add", dst="fd00:3::/64", oif=new, proto=3)
        route.route("add", dst="0.0.0.0/0", table=TABLE, **link_scope)
        for family in FAMILIES:
            marked = {"fwmark": MARK, "flags": 2}
            route.rule("add", family=family, table=TABLE, priority=None, **marked)
            suppressed = {"FRA_SUPPRESS_PREFIXLEN": 0}
            route.rule("add", family=family, table=254, priority=None, **suppressed)
            route.rule("add", family=family, table=7, priority=99)
        route.addr("del", index=new, address="10.2.0.1", prefixlen=32)
        route.route("del", dst="10.3.0.0/16", **link_scope)
        route.rule("del", family=10, table=7, priority=None)
        route.link("add", ifname="gone", kind="veth")
        route.link("del", index=route.link_lookup(ifname="gone")[0])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["read", "holloway"]:
            print(json.dumps(read_ours()))
        case ["read", "pyroute2"]:
            print(json.dumps(read_pyroute2()))
        case ["change", "holloway"]:
            change_ours()
        case ["change", "pyroute2"]:
            change_pyroute2()
