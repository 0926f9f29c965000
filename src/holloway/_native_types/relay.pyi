"""Copies between pairs of stream sockets."""

from typing import final

__all__ = ["Relay", "RelayPair"]

@final
class Relay:
    """A thread that copies between pairs of stream sockets, of any family and namespace.

    Each way ends by itself (half-close); a pair whose one side breaks is reset on the other. What
    is not taken stays in the source's own buffer.
    """

    def __new__(cls) -> Relay: ...
    def fileno(self) -> int:
        """An eventfd, readable while `ends` has something."""

    def join(self, first: int, second: int, /, limit: int | None = None) -> RelayPair:
        """Copy between the sockets of two descriptors; the caller closes its own two.

        With `limit`, so many bytes go from the first to the second at most, which is not told of an
        end after them; what the first says beyond is read and dropped. Raises OSError.
        """

    def abort(self, id: int, /) -> None:  # noqa: A002
        """Reset both sides of a pair."""

    def ends(self) -> list[tuple[int, int | None, int]]:
        """The pairs that ended since the last call: id, side to blame (0 or 1), errno.

        errno is 0 where both sides had said all; ECONNABORTED after `abort` and `close`.
        """

    def moved(self) -> tuple[int, int]:
        """Bytes from first sockets to second ones, and back, over all pairs up to now."""

    def close(self) -> None:
        """Reset all pairs and end the thread; `ends` still tells of them."""

@final
class RelayPair:
    """A pair that was joined."""

    @property
    def id(self) -> int: ...
    def moved(self) -> tuple[int, int]:
        """Bytes from the first socket to the second, and back, up to now."""
