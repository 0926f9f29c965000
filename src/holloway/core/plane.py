"""What the brain needs of a plane; `holloway._native` fits structurally.

The plane owns packets: sockets, sessions, allowed IPs, mac1, mac2 and cookies. It reports through
events that the shell drains and hands to the `handle_` methods of `core.device.Device`. Times are
nanoseconds on the clock that the shell passes as `now`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar


class Endpoint(Protocol):
    """An address as the plane keeps it: where to send, and from which local address."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


EndpointType = TypeVar("EndpointType", bound=Endpoint)
"""A plane's own endpoints: the brain only carries them, and they fit the plane they came from."""


class Due(Protocol):
    """What `PeerPlane.due` collected, and when to look again (None: wait for `DebtBegan`)."""

    @property
    def keepalive(self) -> bool: ...
    @property
    def handshake(self) -> bool: ...
    @property
    def persistent(self) -> bool: ...
    @property
    def next(self) -> int | None: ...


class PeerPlane(Protocol[EndpointType]):
    """One peer's half in the plane. The native module's `Peer` says what each member does."""

    @property
    def id(self) -> int: ...
    @property
    def endpoint(self) -> EndpointType | None: ...
    def set_endpoint(self, endpoint: EndpointType, /) -> None: ...
    def forget_source(self) -> None: ...
    def change_allowed_ips(self, change: Any, /) -> None:
        """Apply the plane's own value, which comes with a `PeerChange`."""

    def discards(self) -> dict[str, int]: ...
    def handshake_received(self, remote: EndpointType, size: int, now: int, /) -> None: ...
    def send_handshake(self, message: bytes, now: int, /) -> None: ...
    def send_keepalive(self) -> None: ...
    def install(
        self,
        local_index: int,
        remote_index: int,
        send_key: bytes,
        receive_key: bytes,
        *,
        confirmed: bool,
        renew_on_send: int,
        renew_on_receive: int,
        reject: int,
    ) -> None: ...
    def due(self, now: int, keepalive: int, handshake: int, persistent: int, /) -> Due: ...
    def arm_session_needed(self) -> None: ...
    def drop_staged(self) -> None: ...
    def erase(self) -> None: ...
    def remove(self) -> None: ...


class Plane(Protocol[EndpointType]):
    """The device's half in the plane."""

    def bind(self, port: int, fwmark: int, /) -> int: ...
    def unbind(self) -> None: ...
    def set_identity(self, public_key: bytes | None, /) -> None: ...
    def peer(self, public_key: bytes, /) -> PeerPlane[EndpointType]: ...
