"""The interface to a WireGuard device, whatever runs it."""

from __future__ import annotations

from typing import Protocol

from holloway.model import Device, DeviceUpdate
from holloway.text.native import State, Update


class Control(Protocol):
    """Shows and changes one device; a refusal is an `OSError` with the device's errno."""

    def get(self) -> Device:
        """Return the device as it is now."""

    def set(self, update: DeviceUpdate) -> None:
        """Check all of `update`, then apply it whole or not at all."""


class BulkControl(Control, Protocol):
    """The same with the codec's values, for thousands of peers that need no object each."""

    def state(self) -> State:
        """Like `get`."""

    def dump(self) -> bytes:
        """Like `get`, printed as `wg show INTERFACE dump` does."""

    def apply(self, update: Update) -> None:
        """Like `set`."""
