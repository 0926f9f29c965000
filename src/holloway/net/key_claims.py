"""Which private key each open network of this process uses, with which peers.

A peer knows one endpoint and one session for a key. Two networks with the same key take both from
each other with every handshake, and neither gets an error. So the second one is refused by name.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Final

from holloway.key import Key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from holloway.model import DeviceUpdate

log = logging.getLogger(__name__)


class KeyClaim:
    """The keys of one network, claimed until `release` or for as long as this object lives."""

    def __init__(self, name: str, place: str, update: DeviceUpdate) -> None:
        """Claim the keys of an update; `place` is where the network was made.

        Raises RuntimeError if another network of this process has the key and one of the peers.
        """
        self._name = f"{name} (made at {place})" if place else name
        self._process = os.getpid()
        self._key: Key | None = None
        self._peers: frozenset[Key] = frozenset()
        self.change(update)

    def change(self, update: DeviceUpdate) -> None:
        """Claim what an update adds, and release what it removes; raises RuntimeError."""
        key, peers = self._key, set(() if update.replace_peers else self._peers)
        if update.private_key is not None:
            # Bits that X25519 ignores make no other key.
            key = update.private_key.clamped() if update.private_key else None
        for peer in update.peers:
            if peer.remove:
                peers.discard(peer.public_key)
            elif not peer.update_only:
                peers.add(peer.public_key)
        with _state.lock:
            if self._has_conflict(key, peers):
                gc.collect()  # a network that nothing refers to claims nothing
                self._refuse_conflicts(key, peers)
            self._key, self._peers = key, frozenset(peers)
            _state.claims.add(self)

    @contextlib.contextmanager
    def changing(self, update: DeviceUpdate) -> Iterator[None]:
        """Like `change`, for as long as nothing is raised within."""
        before = self._key, self._peers
        self.change(update)
        try:
            yield
        except BaseException:
            self._key, self._peers = before
            raise

    def release(self) -> None:
        """Claim nothing any more."""
        self._key = None

    def _has_conflict(self, key: Key | None, peers: set[Key]) -> bool:
        return any(each.shared_peer(key, peers) for each in _state.claims if each is not self)

    def _refuse_conflicts(self, key: Key | None, peers: set[Key]) -> None:
        for other in list(_state.claims):
            peer = None if other is self else other.shared_peer(key, peers)
            if peer is None:
                continue
            conflict = (
                f"the network {other._name} has the same private key and the same peer "
                f"{peer.base64}, which serves only one of them at a time"
            )
            if other._process == os.getpid():
                advice = "close() that one first, or give this one a key of its own"
                raise RuntimeError(f"{conflict}: {advice}")
            # It belongs to the process that this one is a fork of; it may be closed by now.
            log.warning("In the parent process %s: give each process a key of its own", conflict)

    def shared_peer(self, key: Key | None, peers: set[Key]) -> Key | None:
        """Return a peer that this network has too, if it has the same private key."""
        if key is None or self._key != key:
            return None
        return min(self._peers & peers, key=lambda each: each.raw, default=None)


def calling_place() -> str:
    """Return file and line of the code outside this package that calls it; may be empty."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith(PACKAGE):
        frame = frame.f_back
    return "" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"


class _State:
    """All claims of this process."""

    def __init__(self) -> None:
        self.claims: weakref.WeakSet[KeyClaim] = weakref.WeakSet()
        self.renew_lock()

    def renew_lock(self) -> None:
        """Make a lock; in a fork, another thread of the parent may have held the one before."""
        self.lock = threading.RLock()


PACKAGE: Final = f"{__name__.partition('.')[0]}."
_state: Final = _State()
os.register_at_fork(after_in_child=_state.renew_lock)
