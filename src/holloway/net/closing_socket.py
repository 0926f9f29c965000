"""A socket that notifies when it is closed, so that a `Server` knows which clients are left.

asyncio closes the socket of a transport once the protocol has its `connection_lost`, with TLS too;
uvloop detaches it.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class ClosingSocket(socket.socket):
    """A socket with a function that is called once, with the socket, when it is closed."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.on_close: Callable[[ClosingSocket], None] | None = None
        super().__init__(*arguments, **options)

    def close(self) -> None:
        super().close()
        self._notify()

    def detach(self) -> int:
        descriptor = super().detach()
        self._notify()
        return descriptor

    def _notify(self) -> None:
        notify, self.on_close = self.on_close, None
        if notify is not None:
            notify(self)
