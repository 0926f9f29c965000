"""The changes of peers, as the brain applies them."""

from typing import final

from holloway._native_types.tun import Endpoint

__all__ = ["AllowedIPsChange", "PeerChange"]

@final
class PeerChange:
    """The changes of one peer: a `holloway.core.change.PeerChange`, created by `Update`."""

    @property
    def public_key(self) -> bytes: ...
    @property
    def remove(self) -> bool: ...
    @property
    def update_only(self) -> bool: ...
    @property
    def preshared_key(self) -> bytes | None: ...
    @property
    def endpoint(self) -> Endpoint | None: ...
    @property
    def persistent_keepalive(self) -> int | None: ...
    @property
    def allowed_ips(self) -> AllowedIPsChange | None: ...

@final
class AllowedIPsChange:
    """A change of one peer's allowed IPs, for `Peer.change_allowed_ips`; opaque to Python."""
