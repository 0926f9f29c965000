"""What a device can be asked and told, whoever runs it and wherever."""

from __future__ import annotations

from typing import Protocol

from holloway.model import Device, DeviceUpdate
from holloway.text.native import State, Update


class Control(Protocol):
    """Asks and changes one device; what it refuses is an `OSError` with the device's errno."""

    def get(self) -> Device:
        """Return the device as it is now."""

    def set(self, update: DeviceUpdate) -> None:
        """Check all of `update`, then apply it; nothing is applied by halves."""


class BulkControl(Control, Protocol):
    """The same in the codec's values too, for thousands of peers that nobody looks at singly."""

    def state(self) -> State:
        """Like `get`."""

    def dump(self) -> bytes:
        """Like `get`, printed as `wg show INTERFACE dump` does."""

    def apply(self, update: Update) -> None:
        """Like `set`."""
