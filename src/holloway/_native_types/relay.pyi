"""Copies between pairs of stream sockets."""

from typing import final

__all__ = ["Relay", "RelayPair"]

@final
class Relay:
    """A thread that copies between pairs of stream sockets, of any family and namespace.

    Each direction ends separately (half-close). If one side breaks, the other is reset. Bytes that
    the destination does not take yet stay in the source socket's buffer.
    """

    def __new__(cls) -> Relay: ...
    def fileno(self) -> int:
        """An eventfd that is readable while `ends` has pairs to return."""

    def join(
        self,
        first: int,
        second: int,
        /,
        limit: int | None = None,
        to_first: bytes = ...,
        to_second: bytes = ...,
        connect_timeout: float | None = None,
    ) -> RelayPair:
        """Copy between the sockets of two descriptors; the caller still closes its two.

        With `limit`, at most this many bytes go from the first to the second; after them, the
        second gets no end of file, and more bytes from the first are read and dropped. With
        `connect_timeout`, in seconds, the second is still connecting, and nothing is sent before
        it is connected. `to_first` and `to_second` are what each gets first, by default nothing.
        Raises OSError.
        """

    def abort(self, id: int, /) -> None:  # noqa: A002
        """Reset both sides of a pair."""

    def ends(self) -> list[tuple[int, int | None, int, int | None]]:
        """Return the pairs that ended since the last call: id, side that failed (0 or 1), errno.

        errno is 0 if both sides ended normally, and ECONNABORTED after `abort` and `close`. The
        last value is a descriptor of the first socket, unchanged and the caller's, if the second
        one did not connect. That ends too, with side 0, if the first is closed meanwhile.
        """

    def moved(self) -> tuple[int, int]:
        """Return the bytes sent to second sockets, and copied back, over all pairs."""

    def close(self) -> None:
        """Reset all pairs and end the thread; `ends` still returns them."""

@final
class RelayPair:
    """A pair of joined sockets."""

    @property
    def id(self) -> int: ...
    def moved(self) -> tuple[int, int]:
        """Return the bytes copied from the first socket to the second, and back."""
