"""Two planes and what passes between them."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holloway._native import Died, Plane, Tun
from holloway.core.discard import Discard
from holloway.text.discards import EXPLANATIONS
from hosts import REPOSITORY, program, result
from native.ends import End, Pair, ip

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001


@pytest.fixture
def bare() -> Iterator[Pair]:
    """A pair whose first TUN has no vnet_hdr."""
    fd = os.open("/dev/net/tun", os.O_RDWR)
    name = f"hntb-{os.getpid() % 100000}"
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    pair = Pair.__new__(Pair)
    pair.first, pair.second = End(1, Tun.from_fd(fd)), End(2)
    pair.first.host.run("ip", "link", "set", pair.first.tun.name, "mtu", "1420")
    with pair:
        pair.meet("127.0.0.1")
        yield pair


def transfer(sender: End, receiver: End, address: str, megabytes: int) -> None:
    taking = program(receiver.host, "tcp_receive", address, "4000")
    giving = program(sender.host, "tcp_send", address, "4000", str(megabytes))
    assert result(giving) == result(taking)


def test_every_reason_to_discard_a_packet_is_explained(pair: Pair) -> None:
    reasons = set(pair.first.plane.discards()) | {reason.value for reason in Discard}
    page = (REPOSITORY / "docs/reference/discards.md").read_text()
    assert reasons == set(EXPLANATIONS)
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in page] == []


@pytest.mark.parametrize("outer", ["127.0.0.1", "::1"])
def test_pings_of_every_size_come_back_over_either_family(pair: Pair, outer: str) -> None:
    pair.meet(outer)
    pair.establish()
    for inner in ("10.77.0.2", "fd77::2"):
        for size in (0, 1, 16, 1392, 1400, 20000, 60000):
            assert pair.first.ping(inner, "-s", str(size)) >= 1, (inner, size)
    for end in (pair.first, pair.second):
        assert set(end.peer.discards()) == set()


@pytest.mark.parametrize("address", ["10.77.0.2", "fd77::2"])
def test_tcp_arrives_unchanged(pair: Pair, address: str) -> None:
    pair.establish()
    transfer(pair.first, pair.second, address, 32)
    received, sent = pair.second.peer.traffic()
    assert received > 32 << 20
    assert pair.first.peer.traffic() == (sent, received)


def test_tcp_arrives_unchanged_through_an_interface_without_offloads(bare: Pair) -> None:
    assert bare.first.tun.offloads == ()
    bare.establish()
    assert bare.first.ping("fd77::2", "-s", "3000") == 1
    transfer(bare.first, bare.second, "10.77.0.2", 8)
    transfer(bare.second, bare.first, "fd77::1", 8)


def test_an_interface_made_here_has_all_offloads(pair: Pair) -> None:
    assert pair.first.tun.offloads == ("vnet_hdr", "tso", "uso")


def test_a_link_that_goes_down_and_up_again_goes_on(pair: Pair) -> None:
    pair.establish()
    name = pair.second.tun.name
    pair.second.host.run("ip", "link", "set", name, "down")
    assert pair.first.ping("10.77.0.2", count=3) == 0
    assert pair.second.plane.discards()["write_failed"] > 0
    pair.second.host.run("ip", "link", "set", name, "up")
    assert pair.first.ping("10.77.0.2") == 1


def test_an_interface_that_is_deleted_ends_the_plane(pair: Pair) -> None:
    pair.establish()
    pair.first.host.run("ip", "link", "delete", pair.first.tun.name)
    died = pair.first.expect(Died)[-1]
    assert isinstance(died, Died)
    assert died.errno == errno.EBADFD
    pair.first.peer.send_keepalive()
    pair.first.plane.close()


def test_a_closed_plane_leaves_the_interface_for_another(pair: Pair) -> None:
    end = pair.first
    end.plane.close()
    end.plane.close()
    end.plane = Plane(end.tun)
    end.plane.bind(0, 0)
    end.plane.close()
    end.host.run("ip", "link", "show", end.tun.name)


def test_an_interface_closed_is_gone_and_says_so(pair: Pair) -> None:
    name = pair.first.tun.name
    pair.first.plane.close()
    pair.first.tun.close()
    gone = pair.first.host.run("ip", "link", "show", name, check=False)
    assert gone.returncode != 0
    with pytest.raises(OSError, match="closed") as caught:
        pair.first.tun.fileno()
    assert caught.value.errno == errno.EBADF


def test_a_name_that_is_taken_or_too_long_is_refused(pair: Pair) -> None:
    # Names of the machine's own namespace, where other runs of the tests have theirs.
    taken, other = (f"hnt{letter}-{os.getpid() % 100000}" for letter in "to")
    ip("link", "add", taken, "type", "veth", "peer", "name", other)
    try:
        for name, number in ((taken, errno.EINVAL), ("x" * 16, errno.EINVAL)):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is what is checked
                Tun(name)
            assert caught.value.errno == number
    finally:
        ip("link", "delete", taken)


def test_a_descriptor_that_is_no_tun_is_refused_and_stays_open() -> None:
    reader, writer = os.pipe()
    try:
        with pytest.raises(OSError, match="nappropriate ioctl"):
            Tun.from_fd(reader)
        os.write(writer, b"still here")
        assert os.read(reader, 10) == b"still here"
    finally:
        os.close(reader)
        os.close(writer)


def wakes() -> int:
    """How often the planes' threads have gone to sleep."""
    tasks = Path("/proc/self/task").iterdir()
    texts = [(task / "status").read_text() for task in tasks]
    return sum(
        int(text.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
        for text in texts
        if text.startswith("Name:\tholloway-shard\n")
    )


def test_an_idle_tunnel_wakes_nobody(pair: Pair) -> None:
    pair.establish()
    before = wakes()
    assert pair.first.ping("10.77.0.2") == 1
    assert wakes() > before
    pair.first.plane.events()
    before = wakes()
    assert pair.first.events(0.5) == []
    assert wakes() - before <= 2


def test_many_binds_leak_nothing(pair: Pair) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(200):
        pair.first.plane.bind(0, 0)
    pair.first.plane.bind(pair.first.port, 0)
    assert len(os.listdir("/proc/self/fd")) == before
    pair.establish()
    assert pair.first.ping("10.77.0.2") == 1
