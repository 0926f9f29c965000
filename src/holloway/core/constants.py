"""The protocol's constants, each with its source. Times are in nanoseconds."""

from typing import Final, NewType

Nanoseconds = NewType("Nanoseconds", int)
"""A time on CLOCK_BOOTTIME (sessions must age while the machine sleeps), or a duration."""

SECOND: Final = 1_000_000_000
NEVER: Final = Nanoseconds(2**64 - 1)

REKEY_AFTER_TIME: Final = Nanoseconds(120 * SECOND)  # paper, 6.1
REJECT_AFTER_TIME: Final = Nanoseconds(180 * SECOND)  # paper, 6.1
REKEY_ATTEMPT_TIME: Final = Nanoseconds(90 * SECOND)  # paper, 6.1
REKEY_TIMEOUT: Final = Nanoseconds(5 * SECOND)  # paper, 6.1
KEEPALIVE_TIMEOUT: Final = Nanoseconds(10 * SECOND)  # paper, 6.1
REKEY_TIMEOUT_JITTER: Final = Nanoseconds(SECOND // 3)  # paper, 6.1; kernel timers.c: HZ / 3
NEW_HANDSHAKE_TIME: Final = Nanoseconds(KEEPALIVE_TIMEOUT + REKEY_TIMEOUT)  # paper, 6.2
RENEW_ON_RECEIVE_TIME: Final = Nanoseconds(
    REJECT_AFTER_TIME - KEEPALIVE_TIMEOUT - REKEY_TIMEOUT  # paper, 6.2: 165 s
)
ERASE_AFTER_TIME: Final = Nanoseconds(3 * REJECT_AFTER_TIME)  # paper, 6.3: 540 s
HANDSHAKE_ATTEMPTS: Final = REKEY_ATTEMPT_TIME // REKEY_TIMEOUT  # kernel timers.c: 18
RECONNECT_SPACING: Final = Nanoseconds(SECOND // 1000)
"""Between initiations that no packet of ours asks for: at most 1,000 a second."""
INITIATION_INTERVAL: Final = Nanoseconds(SECOND // 50)  # kernel messages.h: 50 a second
MAX_PEERS: Final = (
    65536  # kernel messages.h: MAX_PEERS_PER_DEVICE is 1 << 20; wireguard-go: 1 << 16
)
