"""What UDP sockets do alike: plain ones, those of the kernel stack, and the userspace stack's."""

from __future__ import annotations

import errno
import select
import socket
from typing import TYPE_CHECKING

import pytest

from net.sides import KINDS, Side, two_sides
from net.test_conformance import FAMILIES, Sides, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=KINDS)
def sides(request: pytest.FixtureRequest) -> Iterator[Sides]:
    with two_sides(request.param) as made:
        yield made


def bound(side: Side, family: int = socket.AF_INET) -> socket.socket:
    made = side.udp(family)
    made.bind((side.hosts[family], 0))
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_a_socket_answers_the_address_that_it_got(sides: Sides, family: int) -> None:
    server, client = sides
    with bound(server, family) as one, client.udp(family) as two:
        two.sendto(b"question", one.getsockname())
        data, address = one.recvfrom(100)
        assert data == b"question"
        assert len(address) == (4 if family == socket.AF_INET6 else 2)
        assert address[:2] == (client.hosts[family], two.getsockname()[1])
        assert one.sendto(b"answer", 0, address) == 6
        assert two.recvfrom(100) == (b"answer", one.getsockname())
        one.sendto(b"again", address[:2])
        assert two.recv(100) == b"again"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_connected_socket_knows_both_addresses(sides: Sides, family: int) -> None:
    server, client = sides
    with bound(server, family) as one, client.udp(family) as two:
        assert error_of(two.getpeername) == errno.ENOTCONN
        assert error_of(two.send, b"x") == errno.EDESTADDRREQ
        two.connect(one.getsockname()[:2])
        assert two.getpeername() == one.getsockname()
        assert two.getsockname()[0] == client.hosts[family]
        assert two.send(b"question") == 8
        data, address = one.recvfrom(100)
        assert (data, address) == (b"question", two.getsockname())
        one.sendto(b"answer", address)
        assert two.recvfrom(100) == (b"answer", one.getsockname())


def test_a_connected_socket_sends_elsewhere_but_hears_only_its_peer(sides: Sides) -> None:
    server, client = sides
    with bound(server) as one, bound(server) as other, client.udp() as two:
        two.connect(one.getsockname())
        assert two.sendto(b"elsewhere", other.getsockname()) == 9
        data, address = other.recvfrom(100)
        assert data == b"elsewhere"
        other.sendto(b"unheard", address)
        one.sendto(b"heard", address)
        assert two.recv(100) == b"heard"
        two.connect(other.getsockname())
        two.send(b"moved")
        assert other.recv(100) == b"moved"


def test_a_port_that_nobody_has_is_refused(sides: Sides) -> None:
    server, client = sides
    with client.udp() as two:
        two.connect((server.hosts[socket.AF_INET], 9))
        two.send(b"x")
        assert error_of(two.recv, 1) == errno.ECONNREFUSED
        two.settimeout(0.01)
        with pytest.raises(TimeoutError):
            two.recv(1)


def test_all_ways_to_receive_give_the_same(sides: Sides) -> None:
    server, client = sides
    with bound(server) as one, bound(client) as two:
        here, there = one.getsockname(), two.getsockname()

        def sent(data: bytes) -> socket.socket:
            two.sendto(data, here)
            return one

        assert sent(b"peeked").recvfrom(100, socket.MSG_PEEK) == (b"peeked", there)
        assert one.recvfrom(100) == (b"peeked", there)
        assert sent(b"").recvfrom(100) == (b"", there)
        assert sent(b"truncated").recvfrom(5) == (b"trunc", there)
        buffer = bytearray(8)
        assert sent(b"four").recvfrom_into(buffer) == (4, there)
        assert sent(b"fives").recv_into(buffer, 3) == 3
        assert buffer == b"fivr\0\0\0\0"
        assert sent(b"message").recvmsg(100) == (b"message", [], 0, there)
        data, _, flags, _ = sent(b"message").recvmsg(3)
        assert (data, flags) == (b"mes", socket.MSG_TRUNC)
        parts = [bytearray(3), bytearray(100)]
        assert sent(b"parts").recvmsg_into(parts)[0] == 5
        assert b"".join(parts)[:5] == b"parts"
        assert two.sendmsg([b"a", b"bc"], [], 0, here) == 3
        assert one.recv(100) == b"abc"


def test_sizes_are_those_of_udp(sides: Sides) -> None:
    server, client = sides
    with bound(server) as one, client.udp() as two:
        two.connect(one.getsockname())
        for size in (0, 1, 1392, 1393, 9000, 65_507):
            assert two.send(bytes(size)) == size
            assert len(one.recv(70_000)) == size
        assert error_of(two.send, bytes(65_508)) == errno.EMSGSIZE


def test_a_socket_is_readable_while_a_datagram_waits(sides: Sides) -> None:
    server, client = sides
    with bound(server) as one, client.udp() as two:
        one.setblocking(False)
        assert error_of(one.recv, 1) == errno.EAGAIN
        assert select.select([one], [one], [], 0) == ([], [one], [])
        two.sendto(b"x", one.getsockname())
        assert select.select([one], [], [], 20)[0] == [one]
        with one.dup() as copy:
            assert copy.getsockname() == one.getsockname()
            assert copy.recv(1) == b"x"
