"""At debug level the brain logs the kernel's messages, which people search for."""

from __future__ import annotations

import logging

import pytest

from holloway.model import DeviceUpdate, PeerUpdate
from sim.pair import Pair

KERNEL = {
    # drivers/net/wireguard: noise.c, peer.c, receive.c, send.c, timers.c
    "Handshake for peer %s did not complete after %d attempts, giving up",
    "Handshake for peer %s did not complete after %d seconds, retrying (try %d)",
    "Invalid handshake %s from %s (%s)",  # "initiation", "response"; the reason is ours
    "Keypair %d created for peer %d",
    "Peer %d created",
    "Peer %s destroyed",
    "Receiving handshake initiation from peer %s",
    "Receiving handshake response from peer %s",
    "Retrying handshake with peer %s because we stopped hearing back after %d seconds",
    "Sending handshake initiation to peer %s",
    "Sending handshake response to peer %s",
    "Sending keepalive packet to peer %s",
    "Zeroing out all keys for peer %s, since we haven't received a new one in %d seconds",
}


def test_a_whole_life_is_told_in_the_kernels_words(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    pair = Pair()
    pair.a.send_data()
    pair.run(12)
    stranger = Pair(seed=9)
    stranger.a.send_data()
    stranger.run(1)
    pair.b.deliver(stranger.b.heard[0], pair.a.address)
    pair.link.cut()
    pair.a.send_data()
    pair.run(700)
    pair.a.update(DeviceUpdate(peers=(PeerUpdate(pair.b.public_key, remove=True),)))
    assert {record.msg for record in caplog.records} == KERNEL
    said = {record.getMessage() for record in caplog.records}
    assert "Sending handshake initiation to peer 1 (192.0.2.2:51820)" in said
    assert "Invalid handshake initiation from 192.0.2.1:51820 (undecryptable)" in said
    assert "Peer 1 (192.0.2.2:51820) destroyed" in said
