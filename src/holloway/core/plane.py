"""The interface that the brain needs of a plane; `holloway._native` implements it structurally.

The plane owns all that concerns packets: sockets, sessions, allowed IPs, mac1, mac2 and cookies. It
reports events, which the shell passes to the `handle_` methods of `core.device.Device`. Times are
nanoseconds on the clock that the shell passes as `now`.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar


class Endpoint(Protocol):
    """An address as the plane stores it: where to send, and from which local address."""

    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


EndpointType = TypeVar("EndpointType", bound=Endpoint)
"""The endpoint type of a plane: the brain only passes its values back to the same plane."""


class Due(Protocol):
    """The result of `PeerPlane.due`; `next` is when to call it again, None for at `DebtBegan`."""

    @property
    def keepalive(self) -> bool: ...
    @property
    def handshake(self) -> bool: ...
    @property
    def persistent(self) -> bool: ...
    @property
    def next(self) -> int | None: ...


class PeerPlane(Protocol[EndpointType]):
    """One peer in the plane. The native module's `Peer` documents each member."""

    @property
    def id(self) -> int: ...
    @property
    def endpoint(self) -> EndpointType | None: ...
    def set_endpoint(self, endpoint: EndpointType, /) -> None: ...
    def forget_source(self) -> None: ...
    def change_allowed_ips(self, change: Any, /) -> None:
        """Apply the `allowed_ips` of a `PeerChange`."""

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
    """The device in the plane. The native module's `Plane` documents each member."""

    def bind(self, port: int, fwmark: int, /) -> int: ...
    def unbind(self) -> None: ...
    def set_identity(self, public_key: bytes | None, /) -> None: ...
    def peer(self, public_key: bytes, /) -> PeerPlane[EndpointType]: ...
