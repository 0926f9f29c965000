"""Links, addresses and routes of this network namespace, as typed functions over rtnetlink.

The one place that speaks to pyroute2. Refusals are raised as `OSError`. It knows nothing of
WireGuard; `facts` reads through it and `steps` write through it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import (
    IPv4Interface,
    IPv4Network,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)
from types import TracebackType
from typing import Any, Final, Protocol, Self

from pyroute2 import IPRoute, NetlinkError

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

TABLE_MAIN: Final = 254  # linux/rtnetlink.h, RT_TABLE_MAIN
PROTOCOL_BOOT: Final = 3  # linux/rtnetlink.h, RTPROT_BOOT: what ip(8) gives routes typed by hand
SCOPE_LINK: Final = 253  # linux/rtnetlink.h, RT_SCOPE_LINK: ip(8) gives it to routes without `via`
UNICAST: Final = 1  # linux/rtnetlink.h, RTN_UNICAST
KERNEL_LINK_LOCAL: Final = 3  # linux/if_addr.h, IFAPROT_KERNEL_LL


@dataclass(frozen=True, slots=True)
class Link:
    """A network device of this namespace; `kind` is `wireguard`, `tun` and the like."""

    name: str
    index: int
    mtu: int
    kind: str | None


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a link; `automatic` if the kernel gave it (an IPv6 link-local address)."""

    interface: Interface
    automatic: bool


@dataclass(frozen=True, slots=True)
class Path:
    """How packets to a destination leave: by which link, and the MTU if the route has its own."""

    link: int
    mtu: int | None


class Netlink:
    """One rtnetlink socket; use it as a context manager."""

    def __init__(self) -> None:
        self._route = IPRoute()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._route.close()

    def link(self, name: str) -> Link | None:
        """Find a link by name."""
        try:
            with _os_errors():
                (found,) = self._route.link("get", ifname=name)
        except OSError as error:
            # A name that no link can have (too long, a slash) is refused with EINVAL or ERANGE.
            if error.errno in _NO_SUCH_LINK:
                return None
            raise
        kind = found.get_nested("IFLA_LINKINFO", "IFLA_INFO_KIND")
        return Link(name, int(found["index"]), int(found.get_attr("IFLA_MTU")), kind)

    def link_at(self, index: int) -> Link | None:
        """Find a link by index."""
        try:
            name = socket.if_indextoname(index)
        except OSError:
            return None
        return self.link(name)

    def add_wireguard(self, name: str) -> None:
        """`ip link add NAME type wireguard`; EOPNOTSUPP where the kernel has no such links."""
        with _os_errors():
            self._route.link("add", ifname=name, kind="wireguard")

    def delete_link(self, name: str) -> None:
        """`ip link delete dev NAME`."""
        with _os_errors():
            self._route.link("del", index=self._index(name))

    def set_mtu_up(self, name: str, mtu: int) -> None:
        """`ip link set mtu MTU up dev NAME`."""
        with _os_errors():
            self._route.link("set", index=self._index(name), mtu=mtu, state="up")

    def addresses(self, name: str) -> list[Address]:
        """List the addresses of a link, IPv4 first, as ip(8) does."""
        with _os_errors():
            found = list(self._route.addr("dump", index=self._index(name)))
        return sorted(map(_address, found), key=lambda address: address.interface.version)

    def add_address(self, name: str, interface: Interface) -> None:
        """`ip address add ADDRESS dev NAME`."""
        with _os_errors():
            self._route.addr(
                "add",
                index=self._index(name),
                address=str(interface.ip),
                prefixlen=interface.network.prefixlen,
            )

    def routes(self, name: str) -> list[Network]:
        """List the destinations of a link's routes in the main table."""
        index = self._index(name)
        with _os_errors():
            found = [
                entry
                for family in _FAMILIES.values()
                for entry in self._route.route("dump", family=family, oif=index, table=TABLE_MAIN)
            ]
        return [_destination(entry) for entry in found if entry["type"] == UNICAST]

    def add_route(self, name: str, network: Network, table: int = TABLE_MAIN) -> None:
        """`ip route add NETWORK dev NAME table TABLE`."""
        with _os_errors():
            self._route.route(
                "add",
                dst=str(network),
                family=_FAMILIES[network.version],
                oif=self._index(name),
                table=table,
                proto=PROTOCOL_BOOT,
                type=UNICAST,
                scope=SCOPE_LINK if network.version == 4 else 0,
            )

    def path(self, destination: str) -> Path | None:
        """`ip route get DESTINATION`; None where it cannot be reached."""
        try:
            with _os_errors():
                (found,) = self._route.route("get", dst=destination)
        except OSError:
            return None
        return _path(found)

    def default_path(self) -> Path | None:
        """The first IPv4 default route, as `ip route show default` lists it."""
        with _os_errors():
            found = list(self._route.get_default_routes(family=socket.AF_INET, table=TABLE_MAIN))
        return _path(found[0]) if found else None

    def _index(self, name: str) -> int:
        # if_nametoindex loses the reason (ENODEV), which `ip` reports as this.
        try:
            return socket.if_nametoindex(name)
        except OSError as error:
            raise OSError(error.errno, f'Cannot find device "{name}"') from None


class _Message(Protocol):
    """What pyroute2 hands over: header fields by index, attributes by name."""

    def __getitem__(self, field: str) -> int: ...

    def get_attr(self, name: str) -> Any: ...  # each attribute has its own type


def _address(message: _Message) -> Address:
    # IFA_LOCAL is our own end where a peer's address is set too; IPv6 has it only then.
    own = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return Address(
        interface=ip_interface(f"{own}/{message['prefixlen']}"),
        automatic=message.get_attr("IFA_PROTO") == KERNEL_LINK_LOCAL,
    )


def _destination(message: _Message) -> Network:
    # A default route carries no destination.
    unspecified = _UNSPECIFIED[message["family"]]
    address = message.get_attr("RTA_DST") or unspecified
    return ip_network(f"{address}/{message['dst_len']}")


def _path(message: _Message) -> Path | None:
    link = message.get_attr("RTA_OIF")
    metrics = message.get_attr("RTA_METRICS")
    mtu = metrics.get_attr("RTAX_MTU") if metrics is not None else None
    return None if link is None else Path(int(link), mtu)


@contextmanager
def _os_errors() -> Iterator[None]:
    """Turn pyroute2's own exception into the operating system's."""
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, f"RTNETLINK answers: {os.strerror(error.code)}") from None


_FAMILIES: Final = {4: int(socket.AF_INET), 6: int(socket.AF_INET6)}
_UNSPECIFIED: Final = {int(socket.AF_INET): "0.0.0.0", int(socket.AF_INET6): "::"}  # noqa: S104
_NO_SUCH_LINK: Final = frozenset({errno.ENODEV, errno.EINVAL, errno.ERANGE})
