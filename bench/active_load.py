"""Traffic of thousands of peers at once, between the two namespaces of `active_peers`.

    active_load.py exchange  COUNT PEERS HUB SECONDS   one TCP connection a peer
    active_load.py datagrams COUNT PEERS HUB SECONDS   numbered datagrams there and back

PEERS and HUB are paths of network namespaces. One process is all peers, and one the hub's side.
Prints "begin" and "end" around the measured time, and then figures as JSON.

*exchange*: on each connection a request of 32 KiB and an answer as long follow one another. At most
64 connections have one under way, in turn, so that all peers are active and no queue overflows.
*datagrams*: 5,000 a second, from each peer in turn; who gets none back has lost one.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from active_sessions import far, near
from namespaces import enter_network

if TYPE_CHECKING:
    from collections.abc import Callable

PORT = 5000
SIZE = 32 << 10
AT_ONCE = 64
WARM_SECONDS = 2.0
RATE, TURN = 5000, 0.005
"""Datagrams a second, and how often some are sent."""
LENGTH = 1000
IP_PKTINFO = 8  # linux/in.h
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33  # asm-generic/socket.h
PKTINFO = struct.Struct("=I4s4s")
REQUEST = memoryview(os.urandom(SIZE))
BUFFER = bytearray(SIZE)
Counts = dict[str, float]


def connection(made: socket.socket) -> socket.socket:
    """Prepare a socket: a whole request fits its send buffer, and it ends by a reset.

    Thousands of connections that close at once would go on to exchange what queues have dropped.
    """
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
    return made


def take(waiting: dict[int, int], ends: dict[int, socket.socket], descriptor: int) -> bool:
    """Receive on a connection; return whether its message is complete."""
    try:
        got = ends[descriptor].recv_into(BUFFER, waiting[descriptor], socket.MSG_TRUNC)
    except BlockingIOError:
        return False
    if got == 0:
        raise EOFError("a connection has ended")
    waiting[descriptor] -= got
    return waiting[descriptor] == 0


def exchange_hub(listener: socket.socket) -> None:
    """Answer every request."""
    ends, waiting = dict[int, socket.socket](), dict[int, int]()
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor == listener.fileno():
                made = connection(listener.accept()[0])
                made.setblocking(False)
                ends[made.fileno()], waiting[made.fileno()] = made, SIZE
                poll.register(made, select.EPOLLIN)
            elif take(waiting, ends, descriptor):
                waiting[descriptor] = SIZE
                assert ends[descriptor].send(REQUEST) == SIZE


def exchange_peers(count: int, seconds: float) -> Counts:
    """Connect all peers, exchange, and count the exchanges."""
    ends, waiting, done = dict[int, socket.socket](), dict[int, int](), dict[int, int]()
    poll = select.epoll()
    for number in range(count):
        made = connection(socket.socket())
        made.settimeout(30)
        made.bind((near(number), 0))
        made.connect((far(number), PORT))
        made.setblocking(False)
        ends[made.fileno()] = made
        poll.register(made, select.EPOLLIN)
    resting = deque(ends)

    def begin() -> None:
        descriptor = resting.popleft()
        waiting[descriptor] = SIZE
        assert ends[descriptor].send(REQUEST) == SIZE

    def run(duration: float) -> None:
        done.clear()
        end = time.monotonic() + duration
        while (left := end - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left):
                if take(waiting, ends, descriptor):
                    done[descriptor] = done.get(descriptor, 0) + 1
                    resting.append(descriptor)
                    begin()

    for _ in range(min(AT_ONCE, count)):
        begin()
    run(WARM_SECONDS)
    print("begin", flush=True)
    run(seconds)
    print("end", flush=True)
    return {"exchanges": sum(done.values()), "active": len(done)}


def datagrams_hub(hub: socket.socket) -> None:
    """Send every datagram back, from the address that it came to."""
    while True:
        data, control, _, source = hub.recvmsg(LENGTH, 64)
        _, _, to = PKTINFO.unpack(control[0][2][: PKTINFO.size])
        hub.sendmsg([data], _from(to), 0, source)


def datagrams_peers(count: int, seconds: float) -> Counts:
    """Send numbered datagrams, and count those that came back."""
    peers = datagram_socket()
    peers.setblocking(False)
    addresses = [(socket.inet_aton(near(number)), far(number)) for number in range(count)]
    total, filler = int(RATE * seconds), bytes(LENGTH - 8)
    back, again, sent = set[int](), 0, 0

    def read(end: float) -> None:
        nonlocal again
        while select.select([peers], [], [], max(0, end - time.monotonic()))[0]:
            with suppress(BlockingIOError):
                while True:
                    number = int.from_bytes(peers.recv(LENGTH)[:8], "big")
                    again += number in back
                    back.add(number)

    print("begin", flush=True)
    began = time.monotonic()
    while sent < total:
        for number in range(sent, sent + int(RATE * TURN)):
            source, to = addresses[number % count]
            peers.sendmsg([number.to_bytes(8, "big"), filler], _from(source), 0, (to, PORT))
        sent += int(RATE * TURN)
        read(began + sent / RATE)
    print("end", flush=True)
    read(time.monotonic() + 2)
    return {"sent": sent, "lost": sent - len(back), "twice": again}


def datagram_socket(port: int = 0) -> socket.socket:
    """Open a socket that has room for what comes while its program waits."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
    made.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 64 << 20)
    made.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    made.bind(("", port))
    return made


def _from(address: bytes) -> list[tuple[int, int, bytes]]:
    return [(socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, address, bytes(4)))]


def main(kind: str, count: str, peers: str, hub: str, seconds: str) -> None:
    """Run both sides."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    enter_network(hub)
    if kind == "exchange":
        listening = socket.create_server(("", PORT), backlog=4096)
    else:
        listening = datagram_socket(PORT)
    serve: dict[str, Callable[[socket.socket], None]] = {
        "exchange": exchange_hub,
        "datagrams": datagrams_hub,
    }
    play = {"exchange": exchange_peers, "datagrams": datagrams_peers}
    server = os.fork()
    if server == 0:
        with suppress(EOFError, ConnectionResetError):  # the peers have ended
            serve[kind](listening)
        os._exit(0)
    try:
        enter_network(peers)
        print(json.dumps(play[kind](int(count), float(seconds))))
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
