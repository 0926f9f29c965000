"""TAI64N timestamps: twelve bytes that only increase (paper, 5.4.2).

They compare as bytes. The last digits are cut off so that a timestamp does not reveal our exact
clock, and none is used twice, even if the wall clock is set back.
"""

from __future__ import annotations

from typing import Final

from holloway.core.constants import SECOND

TAI64N_LENGTH: Final = 12
# 2^62 and ten seconds: the difference between TAI and UTC in 1970. Kernel noise.c, tai64n_now.
_EPOCH: Final = 0x400000000000000A
# The power of two below one initiation interval. Kernel noise.c, tai64n_now.
STEP: Final = 1 << 24


def whiten(wall: int) -> int:
    """Round nanoseconds since 1970 down to whole steps within their second."""
    second, nanosecond = divmod(wall, SECOND)
    return second * SECOND + nanosecond // STEP * STEP


def advance(wall: int, last: int) -> int:
    """Return the whitened time for a new timestamp, greater than the `last` one (0: none).

    The kernel uses the wall clock as it is, so after a clock is set back no peer accepts its
    initiations until the old time is reached again. We continue from the last timestamp instead.
    """
    now = whiten(wall)
    if now > last:
        return now
    # The step after the last one of a second is the start of the next second.
    following = last + STEP
    return following if following // SECOND == last // SECOND else (last // SECOND + 1) * SECOND


def encode(whitened: int) -> bytes:
    """Return the twelve bytes of a whitened time."""
    second, nanosecond = divmod(whitened, SECOND)
    return (_EPOCH + second).to_bytes(8, "big") + nanosecond.to_bytes(4, "big")
