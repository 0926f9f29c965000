"""What a tunnel needs of the event loop that serves it.

asyncio's loops have it, and `loop.DeviceLoop`, which is the device process's. Knows neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Callback = Callable[..., Any]


class HasFileno(Protocol):
    """An object with a descriptor."""

    def fileno(self) -> int: ...


Descriptor = int | HasFileno


class TimerHandle(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Do not call; it may have been called already."""


class EventLoop(Protocol):
    """As in asyncio."""

    def time(self) -> float: ...
    def is_closed(self) -> bool: ...
    def call_later(self, delay: float, callback: Callback, *arguments: Any) -> TimerHandle: ...
    def call_at(self, when: float, callback: Callback, *arguments: Any) -> TimerHandle: ...
    def add_reader(self, fd: Descriptor, callback: Callback, *arguments: Any) -> object: ...
    def remove_reader(self, fd: Descriptor) -> object: ...
