"""Cookies between two planes, under a load that strangers cause."""

from __future__ import annotations

import socket

import pytest

from holloway._native import CookieReceived, Handshake
from native.ends import PUBLIC_KEYS, Pair, boottime
from native.far import initiation, with_macs

pytestmark = pytest.mark.root

MANY = 12_000
"""More messages without proof than may come at once."""
ATTEMPTS = 20
"""Under load a few messages pass without a cookie, and the load ends if the machine is busy."""


def load(pair: Pair) -> list[bytes]:
    """Cause load at the first end, and return the messages that have passed until now."""
    message = with_macs(initiation())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for _ in range(MANY):
            stranger.sendto(message, ("127.0.0.1", pair.first.port))
    passed = []
    while events := pair.first.plane.events():
        passed += [event.message for event in events if isinstance(event, Handshake)]
    return passed


def initiate(pair: Pair, number: int) -> bool:
    """Send an initiation under load, and return whether it has brought the first cookie."""
    load(pair)
    pair.second.peer.send_handshake(initiation(number), boottime())
    return any(isinstance(event, CookieReceived) for event in pair.second.events(0.5))


def test_a_cookie_is_reported_and_the_next_initiation_passes_under_load(pair: Pair) -> None:
    assert any(initiate(pair, number) for number in range(100, 100 + ATTEMPTS))
    passed: list[bytes] = []
    for number in range(200, 200 + ATTEMPTS):
        load(pair)
        pair.second.peer.send_handshake(initiation(number), boottime())
        passed += load(pair)
    assert sum(initiation(number) in passed for number in range(200, 200 + ATTEMPTS)) > 2


def test_a_cookie_for_a_message_that_had_one_is_not_reported(pair: Pair) -> None:
    assert any(initiate(pair, number) for number in range(100, 100 + ATTEMPTS))
    for number in range(200, 200 + ATTEMPTS):
        pair.first.plane.set_identity(PUBLIC_KEYS[0])  # forgets what its cookies were made from
        load(pair)
        pair.second.peer.send_handshake(initiation(number), boottime())
    assert not pair.second.events(0.5)
