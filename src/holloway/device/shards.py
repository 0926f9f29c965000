"""How many threads may move the packets of a device, by the machine and the environment.

The device starts with one, and adds one with each peer up to this number. Pure but for the
environment; `cli.device` calls it before it opens the TUN, which gets a queue for each.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

VARIABLE: Final = "HOLLOWAY_SHARDS"
MOST: Final = 64
"""The most that may be asked for."""
MOST_BY_DEFAULT: Final = 16
FEW_PROCESSORS: Final = 3
"""With so many, one shard, the brain and the programs that use the tunnel keep all of them busy."""


def limit() -> int:
    """Return the most shards that the device may have; ValueError if the variable is wrong."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return by_default(len(os.sched_getaffinity(0)))
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= MOST:
        raise ValueError(f"{VARIABLE} must be a number from 1 to {MOST}, not {text!r}")
    return int(text)


def by_default(processors: int) -> int:
    """Return the number for a machine: a processor is left to the brain and to handshakes."""
    if processors <= FEW_PROCESSORS:
        return 1
    return min(processors - 1, MOST_BY_DEFAULT)
