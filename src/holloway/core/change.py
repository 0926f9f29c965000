"""Changes of a device, as the brain applies them; `holloway._native.Update` is a `DeviceChange`.

Every change takes this form: a text is read into an `Update`, and a `DeviceUpdate` of the model is
converted into one (`text.convert`). Keys are bytes; endpoints and allowed IPs are values of the
plane, which the brain only passes on. `device` applies the changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from holloway.core.plane import Endpoint

EndpointType_co = TypeVar("EndpointType_co", bound=Endpoint, covariant=True)


class PeerChange(Protocol[EndpointType_co]):
    """The changes of one peer; None leaves a setting as it is. See `model.PeerUpdate`."""

    @property
    def public_key(self) -> bytes: ...
    @property
    def remove(self) -> bool: ...
    @property
    def update_only(self) -> bool: ...
    @property
    def preshared_key(self) -> bytes | None: ...
    @property
    def endpoint(self) -> EndpointType_co | None: ...
    @property
    def persistent_keepalive(self) -> int | None: ...
    @property
    def allowed_ips(self) -> Any:
        """The argument of `PeerPlane.change_allowed_ips`, None for no change."""


class DeviceChange(Protocol[EndpointType_co]):
    """The changes of a device; None leaves a setting as it is. See `model.DeviceUpdate`."""

    @property
    def private_key(self) -> bytes | None: ...
    @property
    def listen_port(self) -> int | None: ...
    @property
    def fwmark(self) -> int | None: ...
    @property
    def replace_peers(self) -> bool: ...
    def peer_changes(self) -> Sequence[PeerChange[EndpointType_co]]:
        """Return the peers in their order; ValueError if an endpoint's interface is unknown."""
