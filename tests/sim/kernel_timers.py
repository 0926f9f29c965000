"""An eager model of the kernel's timers.c, send.c and receive.c: a hook for every packet.

It is what the plane's debts and the brain's three timers must equal. One peer whose endpoint is
known; times in nanoseconds. Where the brain differs on purpose, the model does as the brain does,
and says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from holloway.core.constants import (
    ERASE_AFTER_TIME,
    HANDSHAKE_ATTEMPTS,
    INITIATION_INTERVAL,
    KEEPALIVE_TIMEOUT,
    NEW_HANDSHAKE_TIME,
    REJECT_AFTER_TIME,
    REKEY_AFTER_TIME,
    REKEY_TIMEOUT,
    RENEW_ON_RECEIVE_TIME,
)


class KernelTimer(Enum):
    """The five timers of struct wg_peer."""

    RETRANSMIT_HANDSHAKE = auto()
    SEND_KEEPALIVE = auto()
    NEW_HANDSHAKE = auto()
    ZERO_KEY_MATERIAL = auto()
    PERSISTENT_KEEPALIVE = auto()


@dataclass(eq=False)
class Keypair:
    birth: int
    initiator: bool


class KernelPeer:
    def __init__(self, now: int, jitter: int, persistent: int) -> None:
        self.now = now
        self.actions: list[tuple[int, str]] = []
        self._jitter = jitter
        self._persistent = persistent
        self._timers: dict[KernelTimer, int] = {}
        self._staged: list[bool] = []  # whether each is data
        self._waiting = False
        self._attempts = 0
        self._last_sent_handshake = now - REKEY_TIMEOUT
        self._last_initiation_consumed = now - INITIATION_INTERVAL
        self._sent_lastminute_handshake = False
        self._previous: Keypair | None = None
        self._current: Keypair | None = None
        self._next: Keypair | None = None
        if persistent:
            self._send_keepalive()

    def run(self, until: int) -> None:
        while self._timers:
            timer, deadline = min(self._timers.items(), key=lambda item: item[1])
            if deadline > until:
                break
            self.now = deadline
            del self._timers[timer]
            self._expire(timer)
        self.now = until

    def send(self) -> None:
        self._staged.append(True)
        self._send_staged()

    def receive(self, keypair: Keypair, *, data: bool) -> None:
        if keypair not in (self._previous, self._current, self._next):
            return
        if self.now >= keypair.birth + REJECT_AFTER_TIME:
            return
        confirms = keypair is self._next
        if confirms:
            self._previous, self._current, self._next = self._current, keypair, None
            self._handshake_complete()
        self._keep_key_fresh_receiving()
        self._any_received()
        self._any_traversal()
        if data and KernelTimer.SEND_KEEPALIVE not in self._timers:
            # need_another_keepalive is left out: the keepalive just queued then deletes the timer
            # that it sets.
            self._timers[KernelTimer.SEND_KEEPALIVE] = self.now + KEEPALIVE_TIMEOUT
        if confirms and self._staged:
            self._send_staged()  # by a worker, so after the hooks

    def consume_response(self) -> Keypair | None:
        if not self._waiting:
            return None
        self._waiting = False
        self._any_received()
        self._any_traversal()
        self._previous = self._next or self._current
        self._current, self._next = Keypair(self.now, initiator=True), None
        self._session_derived()
        self._handshake_complete()
        self._send_keepalive()
        return self._current

    def consume_initiation(self) -> Keypair | None:
        if self.now < self._last_initiation_consumed + INITIATION_INTERVAL:
            return None
        self._last_initiation_consumed = self.now
        # Here the kernel would forget its own initiation (decision 3).
        self._any_received()
        self._last_sent_handshake = self.now
        self._act("response")
        self._next, self._previous = Keypair(self.now, initiator=False), None
        self._session_derived()
        self._any_traversal()
        self._any_sent()
        return self._next

    def _expire(self, timer: KernelTimer) -> None:
        match timer:
            case KernelTimer.RETRANSMIT_HANDSHAKE:
                self._retransmit_handshake()
            case KernelTimer.SEND_KEEPALIVE:
                self._send_keepalive()
            case KernelTimer.NEW_HANDSHAKE:
                self._act("forget source")
                self._queue_initiation(is_retry=False)
            case KernelTimer.ZERO_KEY_MATERIAL:
                self._act("erase")
                self._waiting = False
                self._previous = self._current = self._next = None
            case KernelTimer.PERSISTENT_KEEPALIVE:
                # The kernel does not set it again where no packet could be sent at all.
                self._timers[timer] = self.now + self._persistent
                self._send_keepalive()

    def _retransmit_handshake(self) -> None:
        if self.now < self._last_sent_handshake + REKEY_TIMEOUT:
            # The kernel lets the attempt lapse; the brain puts it off.
            later = self._last_sent_handshake + REKEY_TIMEOUT + self._jitter
            self._timers[KernelTimer.RETRANSMIT_HANDSHAKE] = later
        elif self._attempts > HANDSHAKE_ATTEMPTS:
            # The kernel also forgets a keepalive that is owed, and would still take a response.
            self._act("drop staged")
            self._staged.clear()
            self._waiting = False
            erase = self.now + ERASE_AFTER_TIME
            self._timers.setdefault(KernelTimer.ZERO_KEY_MATERIAL, erase)
        else:
            self._attempts += 1
            self._act("forget source")
            self._queue_initiation(is_retry=True)

    def _queue_initiation(self, *, is_retry: bool) -> None:
        if not is_retry:
            self._attempts = 0
        if self.now < self._last_sent_handshake + REKEY_TIMEOUT:
            return
        self._last_sent_handshake = self.now
        self._act("initiation")
        self._waiting = True
        self._any_traversal()
        self._any_sent()
        retry = self.now + REKEY_TIMEOUT + self._jitter
        self._timers[KernelTimer.RETRANSMIT_HANDSHAKE] = retry

    def _send_keepalive(self) -> None:
        if not self._staged:
            self._staged.append(False)
        self._send_staged()

    def _send_staged(self) -> None:
        keypair = self._current
        if keypair is None or self.now >= keypair.birth + REJECT_AFTER_TIME:
            self._queue_initiation(is_retry=False)
            return
        for data in self._staged:
            self._act("data" if data else "keepalive")
            self._any_traversal()
            self._any_sent()
            if data and KernelTimer.NEW_HANDSHAKE not in self._timers:
                answer = self.now + NEW_HANDSHAKE_TIME + self._jitter
                self._timers[KernelTimer.NEW_HANDSHAKE] = answer
        self._staged.clear()
        if keypair.initiator and self.now >= keypair.birth + REKEY_AFTER_TIME:
            self._queue_initiation(is_retry=False)

    def _keep_key_fresh_receiving(self) -> None:
        keypair = self._current
        if self._sent_lastminute_handshake or keypair is None or not keypair.initiator:
            return
        if self.now >= keypair.birth + RENEW_ON_RECEIVE_TIME:
            self._sent_lastminute_handshake = True
            self._queue_initiation(is_retry=False)

    def _session_derived(self) -> None:
        self._timers[KernelTimer.ZERO_KEY_MATERIAL] = self.now + ERASE_AFTER_TIME

    def _handshake_complete(self) -> None:
        self._timers.pop(KernelTimer.RETRANSMIT_HANDSHAKE, None)
        self._attempts = 0
        self._sent_lastminute_handshake = False

    def _any_sent(self) -> None:
        self._timers.pop(KernelTimer.SEND_KEEPALIVE, None)

    def _any_received(self) -> None:
        self._timers.pop(KernelTimer.NEW_HANDSHAKE, None)

    def _any_traversal(self) -> None:
        if self._persistent:
            self._timers[KernelTimer.PERSISTENT_KEEPALIVE] = self.now + self._persistent

    def _act(self, what: str) -> None:
        self.actions.append((self.now, what))
