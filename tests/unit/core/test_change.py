"""The changes that the brain applies have the values of the model's updates."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given

from holloway import _native
from holloway.key import Key
from holloway.model import DeviceUpdate, Endpoint, PeerUpdate
from holloway.text.convert import update_of
from models import updates

PLAIN = ("public_key", "remove", "update_only", "preshared_key", "persistent_keepalive")


@given(updates())
def test_a_change_has_the_values_of_the_update(update: DeviceUpdate) -> None:
    if any("%" in peer.endpoint.host for peer in update.peers if peer.endpoint is not None):
        return  # no such interface here
    change = update_of(update)
    assert change.private_key == raw(update.private_key)
    assert (change.listen_port, change.fwmark) == (update.listen_port, update.fwmark)
    assert change.replace_peers == update.replace_peers
    changes = change.peer_changes()
    assert len(changes) == len(update.peers)
    for one, peer in zip(changes, update.peers, strict=True):
        for name in PLAIN:
            value = getattr(peer, name)
            assert getattr(one, name) == (value.raw if isinstance(value, Key) else value)
        endpoint = peer.endpoint
        wanted = None if endpoint is None else _native.Endpoint(endpoint.host, endpoint.port)
        assert one.endpoint == wanted
        changes_allowed_ips = peer.replace_allowed_ips or peer.removed_allowed_ips
        assert (one.allowed_ips is not None) == bool(changes_allowed_ips or peer.allowed_ips)


def test_an_endpoint_on_an_unknown_interface_is_refused_by_name() -> None:
    peer = PeerUpdate(Key(bytes([1] * 32)), endpoint=Endpoint("fe80::1%no-such", 1))
    with pytest.raises(_native.Refused) as caught:
        update_of(
            DeviceUpdate(peers=(dataclasses.replace(peer, endpoint=None), peer))
        ).peer_changes()
    is_language, line, key, reason = caught.value.args
    assert (is_language, line, key) == (False, None, b"endpoint")
    assert b"[fe80::1%no-such]:1" in reason


def raw(key: Key | None) -> bytes | None:
    return None if key is None else key.raw
