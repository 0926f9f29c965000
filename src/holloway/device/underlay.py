"""What netlink says of the underlay: whether this host may be at another address from now on.

A peer sends to where our last packet came from. While only it sends, it does not learn of another
address of ours until we send something. `Underlay` reads the messages of a `Watch` and says when
that is so. Knows no peer; `tunnel` calls it, and loads it when a route or an address has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holloway.netlink import rtnetlink
from holloway.netlink.attributes import header, messages, number

if TYPE_CHECKING:
    from collections.abc import Iterable

IFA_F_TENTATIVE: Final = 0x40  # linux/if_addr.h: not in use before it is announced again
RTA_GATEWAY: Final = 5  # linux/rtnetlink.h
RTA_PRIORITY: Final = 6
RT_SCOPE_LINK: Final = 253


class Underlay:
    """The addresses and default routes of which messages came so far.

    Routers announce the same ones again and again, and those change nothing. What was there before
    the first message is not known, so each counts as new once.
    """

    def __init__(self) -> None:
        self._addresses: set[tuple[int, bytes]] = set()
        self._defaults: dict[tuple[int, int, bytes], tuple[int, bytes]] = {}

    def changed(self, datagrams: Iterable[bytes], own: int) -> bool:
        """Whether an address or a default route has changed, of another link than our `own`."""
        changed = False
        for datagram in datagrams:
            for kind, _, _, payload in messages(datagram):
                if kind in (rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR):
                    changed |= self._address(payload, own, is_new=kind == rtnetlink.RTM_NEWADDR)
                elif kind in (rtnetlink.RTM_NEWROUTE, rtnetlink.RTM_DELROUTE):
                    changed |= self._route(payload, own, is_new=kind == rtnetlink.RTM_NEWROUTE)
                elif kind in (rtnetlink.RTM_NEWLINK, rtnetlink.RTM_DELLINK):
                    self._link(payload)
        return changed

    def _address(self, payload: bytes, own: int, *, is_new: bool) -> bool:
        (_, _, flags, scope, link), found = header(rtnetlink.IFADDRMSG, payload)
        if link == own or flags & IFA_F_TENTATIVE or scope >= RT_SCOPE_LINK:
            return False
        key = (link, found.get(rtnetlink.IFA_LOCAL) or found.get(rtnetlink.IFA_ADDRESS, b""))
        if is_new == (key in self._addresses):
            # It is announced again; or it goes, and was there before the first message.
            return not is_new
        (self._addresses.add if is_new else self._addresses.discard)(key)
        return True

    def _route(self, payload: bytes, own: int, *, is_new: bool) -> bool:
        (family, length, _, _, table, _, _, kind, _), found = header(rtnetlink.RTMSG, payload)
        link = number(found.get(rtnetlink.RTA_OIF)) or 0
        if length or kind != rtnetlink.RTN_UNICAST or link == own:
            return False
        key = (family, table, found.get(RTA_PRIORITY, b""))
        way = (link, found.get(RTA_GATEWAY, b""))
        if not is_new:
            self._defaults.pop(key, None)
            return True
        changed = self._defaults.get(key) != way
        self._defaults[key] = way
        return changed

    def _link(self, payload: bytes) -> None:
        """Forget what was on a link that is down: the kernel drops its routes without a word."""
        (_, _, link, flags, _), _ = header(rtnetlink.IFINFOMSG, payload)
        if not flags & rtnetlink.IFF_UP:
            self._addresses = {each for each in self._addresses if each[0] != link}
            self._defaults = {key: way for key, way in self._defaults.items() if way[0] != link}
