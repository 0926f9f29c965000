"""The link between the peers of a demo: forwards UDP packets, and looks for a text in them."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import Final, Self


class UdpLink:
    """Forwards packets between `port` and `office_port`; a context manager."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._near, self._far = _udp(), _udp()
        self.port: int = self._near.getsockname()[1]
        self.office_port = _free_port()
        self.packets = self.hits = 0
        self.sample = b""
        """The end of the longest packet."""
        self._longest = 0
        self._stop, self._stopped = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="link")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.close()
        self._thread.join()
        for each in (self._near, self._far, self._stopped):
            each.close()

    def _serve(self) -> None:
        laptop = None
        sources = [self._near, self._far, self._stopped]
        while self._stopped not in (ready := select.select(sources, [], [])[0]):
            for source in ready:
                # Raised for an earlier packet, sent before the office listened.
                with contextlib.suppress(ConnectionRefusedError):
                    packet, sender = source.recvfrom(MAX_PACKET)
                    self._inspect(packet)
                    if source is self._near:
                        laptop = sender
                        self._far.sendto(packet, ("127.0.0.1", self.office_port))
                    elif laptop is not None:
                        self._near.sendto(packet, laptop)

    def _inspect(self, packet: bytes) -> None:
        self.packets += 1
        self.hits += self._text in packet
        if len(packet) > self._longest:
            self._longest = len(packet)
            self.sample = packet[-SAMPLE:]


def _udp() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    return made


def _free_port() -> int:
    with _udp() as trial:
        port: int = trial.getsockname()[1]
    return port


SAMPLE: Final = 48
MAX_PACKET: Final = 1 << 16
