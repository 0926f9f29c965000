"""TAI64N timestamps: twelve bytes that only ever grow (paper, 5.4.2).

They compare as bytes. The last digits are cut off so that a timestamp tells nobody how our clock
ticks, and none is used twice even where the wall clock is set back.
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
    """Cut nanoseconds since 1970 down to whole steps within their second."""
    second, nanosecond = divmod(wall, SECOND)
    return second * SECOND + nanosecond // STEP * STEP


def advance(wall: int, last: int) -> int:
    """Return the whitened time to stamp now, given the `last` one stamped (0: none).

    The kernel stamps the wall clock as it is, so a clock set back locks it out of every peer until
    the old time is reached again. We go on from the last timestamp instead.
    """
    now = whiten(wall)
    if now > last:
        return now
    # A step beyond the last one of its second falls into the next second.
    following = last + STEP
    return following if following // SECOND == last // SECOND else (last // SECOND + 1) * SECOND


def encode(whitened: int) -> bytes:
    """Return the twelve bytes of a whitened time."""
    second, nanosecond = divmod(whitened, SECOND)
    return (_EPOCH + second).to_bytes(8, "big") + nanosecond.to_bytes(4, "big")
