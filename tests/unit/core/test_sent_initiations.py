"""The memory of the last initiations: bounded, and by pair."""

from __future__ import annotations

from holloway.core.constants import Nanoseconds
from holloway.core.sent_initiations import LONG_AGO, MAX_PAIRS, LastInitiation, SentInitiations


def sent(at: int) -> LastInitiation:
    return LastInitiation(Nanoseconds(at), at)


def test_the_last_of_each_pair_is_known() -> None:
    memory = SentInitiations()
    memory.record(b"us", b"them", sent(1))
    memory.record(b"us", b"others", sent(2))
    memory.record(b"us", b"them", sent(3))
    assert memory.last(b"us", b"them") == sent(3)
    assert memory.last(b"us", b"others") == sent(2)
    assert memory.last(b"them", b"us") == LONG_AGO


def test_the_oldest_pair_is_forgotten_when_there_are_too_many() -> None:
    memory = SentInitiations()
    peers = [number.to_bytes(4, "big") for number in range(MAX_PAIRS + 1)]
    for number, peer in enumerate(peers[:-1]):
        memory.record(b"us", peer, sent(number))
    memory.record(b"us", peers[0], sent(5000))
    memory.record(b"us", peers[-1], sent(5001))
    assert memory.last(b"us", peers[0]) == sent(5000)
    assert memory.last(b"us", peers[1]) == LONG_AGO
    assert memory.last(b"us", peers[2]) == sent(2)
