"""Connections in the device's event loop: a slow client, one that goes, and one that is refused."""

from __future__ import annotations

import errno
import os
import resource
import socket
from typing import TYPE_CHECKING

import pytest

from holloway.device.loop import DeviceLoop
from holloway.device.stream import HIGH_WATER, Server, StreamProtocol, Transport

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEGABYTE = bytes(range(256)) * 4096


class Recorder(StreamProtocol):
    """Records what happens; answers `big` with a megabyte, and fails at `bad`."""

    def __init__(self, loop: DeviceLoop) -> None:
        self.loop = loop
        self.happened: list[str] = []
        self.taken = b""

    def connection_made(self, transport: Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.taken += data
        if data == b"big":
            self.transport.write(MEGABYTE)
        elif data == b"bad":
            raise RuntimeError("a defect")
        elif data == b"close":
            self.transport.write(MEGABYTE)
            self.transport.close()
            self.transport.write(b"not sent any more")
        else:
            self.transport.write(data.upper())

    def pause_writing(self) -> None:
        self.happened.append("paused")
        assert self.transport.get_write_buffer_size() > HIGH_WATER
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.happened.append("resumed")
        self.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self.happened.append("lost" if error is None else f"lost: {type(error).__name__}")
        self.loop.stop()


class Served:
    """A server, and the protocols of its connections."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.loop = DeviceLoop()
        self.protocols: list[Recorder] = []
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        listener.listen()
        self.server = Server(self.loop, listener, self._protocol)

    def _protocol(self) -> Recorder:
        self.protocols.append(Recorder(self.loop))
        return self.protocols[-1]

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(self.path)
        client.setblocking(False)
        return client

    def run_until_received(self, client: socket.socket, size: int) -> bytes:
        """Read as a client that takes a little at a time."""
        received = b""

        def read() -> None:
            nonlocal received
            received += client.recv(50_000)
            self.loop.stop()

        self.loop.add_reader(client, read)
        while len(received) < size:
            self.run()
        self.loop.remove_reader(client)
        return received

    def run(self) -> None:
        self.loop._is_stopped = False
        self.loop.run()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(str(tmp_path / "socket"))
    yield made
    made.server.close()
    for protocol in made.protocols:
        protocol.transport.close()
    made.loop.close()


def test_clients_are_answered_side_by_side(served: Served) -> None:
    with served.connect() as first, served.connect() as second:
        first.send(b"first")
        second.send(b"second")
        assert served.run_until_received(second, 6) == b"SECOND"
        assert served.run_until_received(first, 5) == b"FIRST"


def test_a_slow_client_gets_everything_and_its_protocol_is_paused_meanwhile(
    served: Served,
) -> None:
    with served.connect() as client:
        client.send(b"big")
        assert served.run_until_received(client, len(MEGABYTE)) == MEGABYTE
        (protocol,) = served.protocols
        assert protocol.happened == ["paused", "resumed"]
        client.send(b"more")
        assert served.run_until_received(client, 4) == b"MORE"


def test_what_was_written_is_sent_before_a_connection_closes(served: Served) -> None:
    with served.connect() as client:
        client.send(b"close")
        assert served.run_until_received(client, len(MEGABYTE)) == MEGABYTE
        (protocol,) = served.protocols
        while "lost" not in protocol.happened:
            served.run()
        assert protocol.happened[-1] == "lost"
        assert client.recv(1) == b""


def test_the_end_of_a_client_ends_its_connection(served: Served) -> None:
    client = served.connect()
    client.send(b"hello")
    assert served.run_until_received(client, 5) == b"HELLO"
    client.close()
    served.run()
    assert served.protocols[0].happened == ["lost"]


def test_a_client_that_goes_without_taking_its_answer_ends_its_connection(served: Served) -> None:
    client = served.connect()
    client.send(b"big")
    served.loop.call_later(0.05, client.close)
    served.run()
    (protocol,) = served.protocols
    assert protocol.happened[0] == "paused"
    assert protocol.happened[1:] in (["lost: BrokenPipeError"], ["lost: ConnectionResetError"])


def test_an_exception_ends_the_one_connection_and_is_logged(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    with served.connect() as failing, served.connect() as other:
        failing.send(b"bad")
        served.run()
        assert failing.recv(1) == b""
        other.send(b"fine")
        assert served.run_until_received(other, 4) == b"FINE"
    assert "RuntimeError: a defect" in caplog.text


def test_a_server_without_a_free_descriptor_serves_later(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holloway.device.stream.RETRY_SECONDS", 0.01)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with served.connect() as client:
        client.send(b"hello")
        free = client.fileno()  # the lowest number that is free is above it
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, limits[1]))
        try:
            served.loop.call_later(0.1, served.loop.stop)
            served.run()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert served.protocols == []
        assert served.run_until_received(client, 5) == b"HELLO"
    assert f"Unable to accept a connection: {os.strerror(errno.EMFILE)}" in caplog.text
