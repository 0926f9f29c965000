"""The largest superpacket that a TUN should get, for its MTU. Pure; `link` and `net` use it."""

from typing import Final

MAX_UDP_PAYLOAD: Final = 65_507
MAX_UDP_SEGMENTS: Final = 64  # linux/udp.h: UDP_MAX_SEGMENTS before 6.9; the least of any kernel
TRANSPORT_OVERHEAD: Final = 32  # header and tag of a transport message (paper, 5.4.6)
TCP_HEADERS: Final = 52  # IPv4 and TCP with timestamps: what the MTU has beyond the segment
KERNEL_TCP_RESERVE: Final = 384  # what net/ipv4/tcp.c keeps free below gso_max_size


def gso_max_size(mtu: int) -> int:
    """Return the largest superpacket that one UDP GSO send carries once it is encrypted.

    A TUN read is then one `sendmsg`: without the bound TCP hands over 47 or 48 segments of the
    usual MTU, and 45 fit a datagram.
    """
    segments = min(MAX_UDP_PAYLOAD // (mtu + TRANSPORT_OVERHEAD), MAX_UDP_SEGMENTS)
    return max(min(segments * (mtu - TCP_HEADERS) + KERNEL_TCP_RESERVE, 65_536), mtu)
