"""UDP ports of plain scripts: a bound socket, and the standard library's server over it."""

from __future__ import annotations

import socket
import socketserver
import threading
from typing import TYPE_CHECKING

import pytest

from holloway.testing import CLIENT, SERVER

if TYPE_CHECKING:
    from holloway.net.blocking import BlockingNetwork
    from holloway.testing import Pair


@pytest.mark.parametrize("host", [None, *SERVER])
def test_a_bound_socket_answers_whoever_asks(
    wg_pair: Pair[BlockingNetwork], host: str | None
) -> None:
    first, second = wg_pair
    there = host or SERVER[0]
    with first.bind_udp(5353, host) as server:
        assert server.type == socket.SOCK_DGRAM
        server.settimeout(20)
        with second.connect(there, 5353, type=socket.SOCK_DGRAM, timeout=20) as client:
            client.send(b"question")
            data, address = server.recvfrom(100)
            assert (data, address[0]) == (b"question", CLIENT[SERVER.index(there)])
            server.sendto(b"answer", address)
            assert client.recv(100) == b"answer"


def test_the_standard_librarys_udp_server_takes_it(
    wg_pair: Pair[BlockingNetwork],
) -> None:
    class Upper(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            data, sock = self.request
            sock.sendto(data.upper(), self.client_address)

    first, second = wg_pair
    server = socketserver.UDPServer((SERVER[0], 5353), Upper, bind_and_activate=False)
    server.socket.close()
    server.socket = first.bind_udp(5353, SERVER[0])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with second.connect(SERVER[0], 5353, type=socket.SOCK_DGRAM, timeout=20) as client:
            client.send(b"hello")
            assert client.recv(100) == b"HELLO"
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
