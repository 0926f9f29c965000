"""The arguments about TLS that servers and connections have in common, checked as asyncio does."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from ssl import SSLContext


class Tls(TypedDict, total=False):
    """What the event loop's methods take; nothing without TLS."""

    ssl: SSLContext | bool
    ssl_handshake_timeout: float
    ssl_shutdown_timeout: float
    server_hostname: str


def tls_options(
    context: SSLContext | bool | None,
    handshake_timeout: float | None,
    shutdown_timeout: float | None,
) -> Tls:
    """Return the arguments that were given; raises ValueError for a timeout without TLS."""
    given: Tls = {}
    if handshake_timeout is not None:
        given["ssl_handshake_timeout"] = handshake_timeout
    if shutdown_timeout is not None:
        given["ssl_shutdown_timeout"] = shutdown_timeout
    if context is not None:
        given["ssl"] = context
        return given
    for name in given:
        raise ValueError(f"{name} is only meaningful with ssl")
    return given
