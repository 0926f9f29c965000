"""Interfaces of the kernel, with a scripted kernel; tests/guest tests the real one."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Self

import pytest

from holloway.control import kernel
from holloway.key import Key
from holloway.model import AllowedIP, DeviceUpdate, PeerUpdate
from holloway.netlink import kernel_devices
from holloway.netlink.attributes import attribute, generic, nest

if TYPE_CHECKING:
    from collections.abc import Callable

PA, PB = Key(bytes([5]) * 32), Key(bytes([9]) * 32)
ONE, TWO = AllowedIP.parse("10.1.0.0/16"), AllowedIP.parse("10.2.0.0/16")
REMOVE_ME = attribute(4, (1).to_bytes(4, "little"))


class ScriptedKernel:
    """Replaces the socket; `answers` has the answer to each request."""

    def __init__(self, *answers: list[bytes] | OSError) -> None:
        self.answers = list(answers)
        self.requests: list[bytes] = []

    def __call__(self, protocol: int) -> Self:
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def family(self, name: str) -> int:
        return 30

    def dump(self, kind: int, payload: bytes) -> list[bytes]:
        return self.request(kind, payload)

    def request(self, kind: int, payload: bytes) -> list[bytes]:
        self.requests.append(payload)
        given = self.answers.pop(0)
        if isinstance(given, OSError):
            raise given
        return given


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ScriptedKernel]:
    def make(*answers: list[bytes] | OSError) -> ScriptedKernel:
        scripted = ScriptedKernel(*answers)
        for module in (kernel, kernel_devices):
            monkeypatch.setattr(module, "NetlinkSocket", scripted)
        return scripted

    return make


def device(*networks: AllowedIP) -> bytes:
    printed = [
        nest(0, [attribute(1, (2).to_bytes(2, "little")), attribute(2, network.address),
                 attribute(3, bytes([network.cidr]))])
        for network in networks
    ]  # fmt: skip
    peer = nest(0, [attribute(1, PA.raw), nest(9, printed)])
    return generic(0, 1) + attribute(2, b"wg0\0") + nest(8, [peer])


def test_a_kernel_that_can_is_asked_to_remove_a_network(
    script: Callable[..., ScriptedKernel],
) -> None:
    scripted = script([], [], [])
    update = DeviceUpdate(peers=(PeerUpdate(PA, removed_allowed_ips=(ONE,)),))
    kernel.KernelDevice("wg0").set(update)
    assert [REMOVE_ME in request for request in scripted.requests] == [False, True, False]


def test_an_older_kernel_moves_the_network_to_a_temporary_peer(
    script: Callable[..., ScriptedKernel],
) -> None:
    scripted = script([], OSError(errno.EINVAL, "Invalid argument"), [device(ONE)], [], [])
    # TWO does not belong to the peer, so it must stay where it is.
    update = DeviceUpdate(peers=(PeerUpdate(PA, removed_allowed_ips=(ONE, TWO)),))
    kernel.KernelDevice("wg0").set(update)
    moving = scripted.requests[3]
    assert REMOVE_ME not in moving
    assert ONE.address in moving
    assert TWO.address not in moving


def test_another_error_is_not_retried(script: Callable[..., ScriptedKernel]) -> None:
    refusal = OSError(errno.EINVAL, "Invalid argument")
    scripted = script(refusal)
    with pytest.raises(OSError, match="Invalid argument"):
        kernel.KernelDevice("wg0").set(DeviceUpdate(peers=(PeerUpdate(PB, allowed_ips=(ONE,)),)))
    assert len(scripted.requests) == 1


def test_only_wireguard_links_are_listed(script: Callable[..., ScriptedKernel]) -> None:
    def link(name: bytes, kind: bytes) -> bytes:
        return bytes(16) + attribute(3, name + b"\0") + nest(18, [attribute(1, kind + b"\0")])

    script([link(b"wg1", b"wireguard"), link(b"br0", b"bridge"), bytes(16) + attribute(3, b"lo\0"),
            link(b"wg0", b"wireguard")])  # fmt: skip
    assert kernel.names() == ["wg1", "wg0"]


def test_without_netlink_there_are_no_interfaces(script: Callable[..., ScriptedKernel]) -> None:
    script(OSError(errno.EAFNOSUPPORT, "Address family not supported"))
    assert kernel.names() == []
