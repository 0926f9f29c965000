"""Networks from arguments, as a program without a file writes them."""

from __future__ import annotations

import pytest

import holloway
from holloway import ConfigError, DeviceUpdate, Key


def test_two_networks_of_text_and_dicts_reach_each_other(stack: str) -> None:
    one, two = Key.generate(), Key.generate()
    peer = {"public_key": two.public().base64, "allowed_ips": "10.7.0.2, fd07::2"}
    with holloway.open(
        private_key=one.base64, addresses="10.7.0.1/24, fd07::1/64", peers=[peer], stack=stack
    ) as first:
        port = first.device.listen_port
        with holloway.open(
            private_key=two,
            addresses=["10.7.0.2/24", "fd07::2/64"],
            peers={
                "public_key": one.public(),
                "endpoint": ("localhost", port),  # looked up when the network opens
                "allowed_ips": ["10.7.0.1", "fd07::1"],
                "persistent_keepalive": 25,
            },
            name="laptop",
            stack=stack,
            timeout=20,
        ) as second:
            assert repr(second) == (
                f"<BlockingNetwork laptop open, {stack} stack, 1 peer, 10.7.0.2, fd07::2>"
            )
            assert second.ping("10.7.0.1") > 0
            assert second.ping("fd07::1") > 0
            (shown,) = second.device.peers
            assert shown.persistent_keepalive == 25
            assert one.base64 not in repr(first)
        assert repr(second) == "<BlockingNetwork laptop closed, 1 peer, 10.7.0.2, fd07::2>"


def test_an_update_may_have_text(stack: str) -> None:
    other = Key.generate().public()
    with holloway.open(private_key=Key.generate(), addresses="10.7.0.1/24", stack=stack) as net:
        update = {"public_key": other.base64, "allowed_ips": "10.8.0.0/16"}
        net.set(DeviceUpdate(peers=(update,)))  # type: ignore[arg-type]
        assert net.device.peers[0].public_key == other
        assert "1 peer," in repr(net)
        update = {"public_key": other.base64, "endpoint": "somewhere"}
        with pytest.raises(ConfigError, match=r"peers\[0\].endpoint: `somewhere' is not host:port"):
            net.set(DeviceUpdate(peers=(update,)))  # type: ignore[arg-type]
