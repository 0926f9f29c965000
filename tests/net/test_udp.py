"""UDP ports of plain scripts: a bound socket, and the standard library's server over it."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from holloway import Endpoint
from holloway.net.blocking import BlockingNetwork
from net.pair import FIRST, SECOND, network, new_key, peer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def nets(stack: str) -> Iterator[tuple[BlockingNetwork, BlockingNetwork]]:
    keys = new_key(), new_key()
    with BlockingNetwork(network(1, keys[0], peer(keys[1], *SECOND), stack=stack)) as first:
        there = Endpoint("127.0.0.1", first.device.listen_port)
        other = peer(keys[0], *FIRST, endpoint=there)
        with BlockingNetwork(network(2, keys[1], other, stack=stack)) as second:
            yield first, second


@pytest.mark.parametrize("host", [None, *FIRST])
def test_a_bound_socket_answers_whoever_asks(
    nets: tuple[BlockingNetwork, BlockingNetwork], host: str | None
) -> None:
    first, second = nets
    there = host or FIRST[0]
    with first.bind_udp(5353, host) as server:
        assert server.type == socket.SOCK_DGRAM
        server.settimeout(20)
        with second.connect(there, 5353, type=socket.SOCK_DGRAM, timeout=20) as client:
            client.send(b"question")
            data, address = server.recvfrom(100)
            assert (data, address[0]) == (b"question", SECOND[FIRST.index(there)])
            server.sendto(b"answer", address)
            assert client.recv(100) == b"answer"


def test_the_standard_librarys_udp_server_takes_it(
    nets: tuple[BlockingNetwork, BlockingNetwork],
) -> None:
    class Upper(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            sock.sendto(data.upper(), self.client_address)

    first, second = nets
    server = socketserver.UDPServer((FIRST[0], 5353), Upper, bind_and_activate=False)
    server.socket.close()
    server.socket = first.bind_udp(5353, FIRST[0])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with second.connect(FIRST[0], 5353, type=socket.SOCK_DGRAM, timeout=20) as client:
            client.send(b"hello")
            assert client.recv(100) == b"HELLO"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
