"""TCP streams between network namespaces, as many as are asked for, by two processes.

    gateway_load.py SECONDS <FLOWS    print "begin" and "end", and the bytes of each flow as JSON

FLOWS is a list of `Flow`s as JSON. One process sends on all streams and one receives, each as fast
as it can. What comes is not copied to the program (MSG_TRUNC), so that the load costs little.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NamedTuple

from namespaces import enter_network

CHUNK = memoryview(os.urandom(1 << 18))
WARM_SECONDS = 1.0
CONNECT_SECONDS = 30.0


class Flow(NamedTuple):
    """A stream: the namespaces of its ends, and the address and port that it goes to."""

    source: str
    target: str
    address: str
    port: int


def listen(flows: list[Flow]) -> list[socket.socket]:
    """Listen for each flow."""
    listeners = []
    for flow in flows:
        enter_network(flow.target)
        listener = socket.create_server((flow.address, flow.port))
        listener.settimeout(CONNECT_SECONDS)
        listeners.append(listener)
    return listeners


def send(flows: list[Flow]) -> None:
    """Send on all flows until this process is killed."""
    poll, senders = select.epoll(), dict[int, socket.socket]()
    for flow in flows:
        enter_network(flow.source)
        sender = socket.socket()
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        sender.setblocking(False)
        sender.connect_ex((flow.address, flow.port))
        senders[sender.fileno()] = sender
        poll.register(sender, select.EPOLLOUT)
    while True:
        for descriptor, _ in poll.poll():
            with suppress(BlockingIOError):
                senders[descriptor].send(CHUNK)


def receive(listeners: list[socket.socket], seconds: float) -> list[int]:
    """Receive on all flows, and return the bytes of each in the measured time."""
    receivers, buffer = dict[int, socket.socket](), bytearray(1 << 20)
    poll = select.epoll()
    for listener in listeners:
        receiver, _ = listener.accept()
        receiver.setblocking(False)
        receivers[receiver.fileno()] = receiver
        poll.register(receiver, select.EPOLLIN)

    def counted(duration: float) -> dict[int, int]:
        counts, end = dict.fromkeys(receivers, 0), time.monotonic() + duration
        while (left := end - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left):
                with suppress(BlockingIOError):
                    got = receivers[descriptor].recv_into(buffer, len(buffer), socket.MSG_TRUNC)
                    if got == 0:
                        raise RuntimeError("a sender has ended")
                    counts[descriptor] += got
        return counts

    counted(WARM_SECONDS)
    print("begin", flush=True)
    found = counted(seconds)
    print("end", flush=True)
    return list(found.values())


def main() -> None:
    """Send and receive, and print what came."""
    flows = [Flow(*one) for one in json.load(sys.stdin)]
    listeners = listen(flows)
    sender = os.fork()
    if sender == 0:
        with suppress(ConnectionError):  # who receives has ended
            send(flows)
        os._exit(0)
    try:
        print(json.dumps(receive(listeners, float(sys.argv[1]))))
    finally:
        os.kill(sender, signal.SIGKILL)
        os.waitpid(sender, 0)


if __name__ == "__main__":
    main()
