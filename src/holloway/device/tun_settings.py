"""Makes a new TUN look like the kernel's WireGuard interface.

Imports next to nothing, because a device does this before it forks its monitor. `cli.device` calls
it, and `privileged` after a move to another namespace, which loses the settings.
"""

from __future__ import annotations

import _socket
import os

from holloway.netlink import rtnetlink
from holloway.netlink.attributes import NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE, u32
from holloway.netlink.socket import NETLINK_ROUTE, NetlinkSocket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

QUEUE_LENGTH: Final = 1000  # kernel, DEFAULT_TX_QUEUE_LEN
NO_DISCIPLINE: Final = "noqueue"


def is_persistent() -> bool:
    """Whether the environment wants the interface to outlive a device that is killed."""
    return os.environ.get("HOLLOWAY_PERSISTENT") == "1"


def configure_tun(name: str) -> None:
    """Set queue length 1000, no multicast, no link-local address, no queueing discipline.

    What an older kernel refuses is left as it is: none of it changes which packets pass. A TUN
    never stops its queue (tun.c, tun_net_xmit), so a discipline would only be one more lock.
    """
    try:
        index = _socket.if_nametoindex(name)
    except OSError:
        return  # moved or renamed meanwhile
    requests = (
        (rtnetlink.RTM_SETLINK, queue_length(index, QUEUE_LENGTH), NLM_F_ACK),
        (rtnetlink.RTM_SETLINK, no_multicast(index), NLM_F_ACK),
        (rtnetlink.RTM_SETLINK, no_link_local(index), NLM_F_ACK),
        (rtnetlink.RTM_NEWQDISC, rtnetlink.qdisc(index, NO_DISCIPLINE), REPLACE),
    )
    with NetlinkSocket(NETLINK_ROUTE) as kernel:
        for kind, payload, flags in requests:
            try:  # noqa: SIM105  # contextlib would stay loaded
                kernel.request(kind, payload, flags)
            except OSError:
                pass
    _disable_redirects(name)


def queue_length(index: int, packets: int) -> bytes:
    """`ip link set txqueuelen PACKETS`."""
    return rtnetlink.link(index, 0, 0, u32(rtnetlink.IFLA_TXQLEN, packets))


def no_multicast(index: int) -> bytes:
    """`ip link set multicast off`."""
    return rtnetlink.link(index, 0, rtnetlink.IFF_MULTICAST)


def no_link_local(index: int) -> bytes:
    """`ip link set addrgenmode none`."""
    return rtnetlink.link(index, 0, 0, rtnetlink.no_link_local())


def _disable_redirects(name: str) -> None:
    """Keep the host from redirecting one peer to another: there is no way but through us.

    For the interface and for all, of which either would do: kernel, device.c, wg_open.
    """
    for which in (name, "all"):
        try:
            with open(f"/proc/sys/net/ipv4/conf/{which}/send_redirects", "w") as setting:
                setting.write("0\n")
        except OSError:
            pass


REPLACE: Final = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
