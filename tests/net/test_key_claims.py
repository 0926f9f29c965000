"""Two open networks with one key and a common peer: the second is refused, by the first's name."""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import holloway
from holloway import DeviceUpdate, Key, PeerUpdate
from net.pair import new_key, peer

if TYPE_CHECKING:
    from collections.abc import Sequence

STACK = "userspace"  # who has which keys does not depend on the stack


def config(key: Key, *peers: Key) -> str:
    lines = [f"[Interface]\nPrivateKey = {key.base64}\nAddress = 10.7.0.1/24"]
    lines += [f"[Peer]\nPublicKey = {each.base64}\nAllowedIPs = 10.7.0.2/32" for each in peers]
    return "\n".join(lines) + "\n"


def made(key: Key, peers: Sequence[PeerUpdate], name: str = "laptop") -> holloway.Network:
    return holloway.Network(
        private_key=key, peers=peers, addresses=["10.7.0.1/24"], stack=STACK, name=name
    )


def test_a_second_network_with_the_key_of_an_open_one_is_refused(tmp_path: Path) -> None:
    text = config(new_key(), shared := new_key().public())
    path = tmp_path / "laptop.conf"
    path.write_text(text)
    with holloway.open(path, stack=STACK):
        with pytest.raises(RuntimeError) as refused:
            holloway.open(text, stack=STACK)
        said = str(refused.value)
        assert said.startswith(f"the network laptop (made at {__file__}:")
        assert f"the same peer {shared.base64}" in said
        assert "close() that one first, or give this one a key of its own" in said

        async def run() -> None:
            with pytest.raises(RuntimeError, match="the network laptop"):
                await holloway.Network.from_config(text, stack=STACK).open()

        asyncio.run(run())
    with holloway.open(text, stack=STACK):
        pass


def test_one_key_serves_two_networks_whose_peers_differ() -> None:
    key = new_key()
    with (
        holloway.open(config(key, new_key().public()), stack=STACK),
        holloway.open(config(key, new_key().public()), stack=STACK),
        holloway.open(config(key), stack=STACK),
        holloway.open(config(key), stack=STACK),
    ):
        pass


def test_one_peer_serves_two_networks_whose_keys_differ() -> None:
    shared = new_key().public()
    with (
        holloway.open(config(new_key(), shared), stack=STACK),
        holloway.open(config(new_key(), shared), stack=STACK),
    ):
        pass


def test_bits_that_the_curve_ignores_make_no_other_key() -> None:
    raw, shared = bytearray(os.urandom(32)), peer(new_key(), "10.7.0.2/32")
    raw[0] &= 0xF8
    twin = bytes([raw[0] | 1, *raw[1:]])

    async def run() -> None:
        async with made(Key(bytes(raw)), [shared]):
            with pytest.raises(RuntimeError, match="the same private key"):
                await made(Key(twin), [shared]).open()

    asyncio.run(run())


def test_a_network_that_failed_to_open_or_is_forgotten_holds_no_key() -> None:
    key, shared = new_key(), peer(new_key(), "10.7.0.2/32")

    async def run() -> None:
        taken = made(new_key(), [])
        async with taken:
            failing = holloway.Network(
                private_key=key, peers=[shared], addresses=["10.7.0.1/24"], stack=STACK,
                listen_port=taken.device.listen_port,
            )  # fmt: skip
            with pytest.raises(OSError, match="in use"):
                await failing.open()
        forgotten = await made(key, [shared]).open()
        cycle: list[object] = [forgotten]
        cycle.append(cycle)
        del forgotten, cycle
        with pytest.warns(ResourceWarning, match="unclosed network laptop"):
            await failing.open()
        await failing.close()

    gc.disable()  # so that only the conflict collects the cycle
    try:
        asyncio.run(run())
    finally:
        gc.enable()


def test_changes_of_peers_and_keys_count() -> None:
    key, other = new_key(), new_key()
    one, two = peer(new_key(), "10.7.0.2/32"), peer(new_key(), "10.7.0.3/32")

    async def run() -> None:
        async with made(key, [one], "first") as first, made(key, [two], "second") as second:
            with pytest.raises(RuntimeError, match="the network first"):
                second.set(DeviceUpdate(peers=(one,)))
            assert [each.public_key for each in second.device.peers] == [two.public_key]
            first.set(DeviceUpdate(peers=(PeerUpdate(public_key=one.public_key, remove=True),)))
            second.set(DeviceUpdate(peers=(one,)))
            with pytest.raises(RuntimeError, match="the network second"):
                first.set(DeviceUpdate(peers=(two,)))
            first.set(DeviceUpdate(private_key=other, peers=(two,)))
            with pytest.raises(RuntimeError, match="the network second"):
                first.set(DeviceUpdate(private_key=key))
            assert first.device.private_key == other
            update_only = PeerUpdate(public_key=new_key().public(), update_only=True)
            first.set(DeviceUpdate(peers=(update_only,)))

    asyncio.run(run())
