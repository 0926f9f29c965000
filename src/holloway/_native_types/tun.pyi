"""What the plane stands between: the TUN interface and UDP addresses."""

from typing import final

__all__ = ["Endpoint", "Tun"]

@final
class Tun:
    """A TUN interface with vnet_hdr and, where the kernel has them, TSO and USO offloads."""

    def __new__(cls, name: str, mtu: int = 1420) -> Tun:
        """Create the interface, or attach to a persistent one, and set its MTU (OSError)."""

    @staticmethod
    def from_fd(fd: int) -> Tun:
        """Take over an open TUN file descriptor; the kernel is asked whether it has a vnet_hdr."""

    @property
    def name(self) -> str:
        """The interface's name as the kernel has it now."""

    @property
    def offloads(self) -> tuple[str, ...]:
        """Which of "vnet_hdr", "tso", "uso" are on."""

    def fileno(self) -> int:
        """The file descriptor, for ioctls; the plane reads and writes it."""

    def close(self) -> None: ...

@final
class Endpoint:
    """A peer's UDP address. One that came with a packet also holds the local address it came to."""

    def __new__(cls, host: str, port: int) -> Endpoint:
        """Make one from a numeric address (`fe80::1%eth0` and `fe80::1%2` too).

        Raises ValueError if `host` is no address or its interface is unknown.
        """

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def local(self) -> str | None:
        """The local address that packets leave from, None where the kernel chooses."""

    @property
    def interface(self) -> int | None:
        """The number of the interface where packets came to that address."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
