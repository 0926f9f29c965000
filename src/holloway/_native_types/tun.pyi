"""The TUN interface, and UDP endpoints."""

from typing import final

__all__ = ["Endpoint", "Tun"]

@final
class Tun:
    """A TUN interface with vnet_hdr and, if the kernel has them, TSO and USO offloads."""

    def __new__(cls, name: str, mtu: int = 1420) -> Tun:
        """Create the interface, or attach to a persistent one, which keeps its MTU (OSError)."""

    @staticmethod
    def from_fd(fd: int) -> Tun:
        """Take over an open TUN file descriptor; the kernel knows whether it has a vnet_hdr."""

    @property
    def name(self) -> str:
        """The interface's present name in the kernel."""

    @property
    def offloads(self) -> tuple[str, ...]:
        """Those of "vnet_hdr", "tso" and "uso" that are on."""

    def set_persistent(self, persistent: bool, /) -> None:
        """Set whether the interface outlives the last of its file descriptors (OSError)."""

    def fileno(self) -> int:
        """The file descriptor, for ioctls; the plane reads and writes it."""

    def close(self) -> None: ...

@final
class Endpoint:
    """A peer's UDP address. One from a received packet also has the packet's local address."""

    def __new__(cls, host: str, port: int) -> Endpoint:
        """Build from a numeric address (also `fe80::1%eth0` and `fe80::1%2`).

        Raises ValueError if `host` is no address or its interface is unknown.
        """

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def local(self) -> str | None:
        """The local address that packets leave from, None if the kernel chooses it."""

    @property
    def interface(self) -> int | None:
        """The index of the interface where packets to that address arrived."""

    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
