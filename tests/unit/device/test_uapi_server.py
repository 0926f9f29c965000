"""The log over the UAPI socket: levels and followers, slow ones included."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from holloway.device.log import DeviceLog
from holloway.device.uapi_server import MAX_BACKLOG, UapiConnection
from holloway.text.native import State, Update

if TYPE_CHECKING:
    from collections.abc import Iterator


class NoDevice:
    """A device that no request may change."""

    def state(self) -> State:
        return State(None, 0, 0, [])

    def uapi_discards(self) -> bytes:
        return b"forged=1\n"

    def apply(self, update: Update) -> None:
        raise AssertionError("no request here sets anything")


class Client(asyncio.Transport):
    """Records what is written; `waiting` is the size of its write buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = ""
        self.waiting = 0
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken += bytes(data).decode()

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def close(self) -> None:
        self.closed = True

    def take(self) -> str:
        taken, self.taken = self.taken, ""
        return taken


@pytest.fixture
def device_log() -> Iterator[DeviceLog]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    made = DeviceLog("wg0", "error")
    made.install()
    yield made
    root.setLevel(level)
    root.handlers[:] = handlers


def connect(device_log: DeviceLog) -> tuple[UapiConnection, Client]:
    connection, client = UapiConnection(NoDevice(), device_log), Client()
    connection.connection_made(client)
    return connection, client


def test_the_level_is_returned_and_changed(device_log: DeviceLog) -> None:
    connection, client = connect(device_log)
    connection.data_received(b"log=\n\nlog=verbose\n\n")
    assert client.taken == "level=error\nerrno=0\n\nlevel=verbose\nerrno=0\n\n"
    assert device_log.level == "verbose"


@pytest.mark.parametrize("request_", [b"log=loud\n\n", b"log=error\nmore=1\n\n", b"log=\xff\n\n"])
def test_an_invalid_level_is_refused_and_changes_nothing(
    device_log: DeviceLog, request_: bytes
) -> None:
    connection, client = connect(device_log)
    connection.data_received(request_)
    assert client.taken == "errno=-22\n\n"
    assert device_log.level == "error"
    assert not client.closed


@pytest.mark.parametrize(
    "request_", [b"abcdeflisten_port=5\n\n", b"x" * 17, b"log=" + b"x" * 16 + b"\n\n", b"get=2\n\n"]
)
def test_an_unknown_operation_closes_the_connection(device_log: DeviceLog, request_: bytes) -> None:
    connection, client = connect(device_log)
    connection.data_received(request_)
    assert client.closed
    assert client.taken == ""


def test_a_follower_gets_its_answer_before_the_backlog(device_log: DeviceLog) -> None:
    logging.getLogger("holloway").error("long ago")
    connection, client = connect(device_log)
    connection.data_received(b"log=follow\n\n")
    assert client.taken.startswith("level=error\nerrno=0\n\nERROR: (wg0) ")
    assert client.taken.endswith(" long ago\n")


def test_a_follower_gets_lines_until_it_disconnects(device_log: DeviceLog) -> None:
    connection, client = connect(device_log)
    connection.data_received(b"log=follow\n\n")
    connection.data_received(b"log=follow\n\n")
    assert client.take() == "level=error\nerrno=0\n\n" * 2
    logging.getLogger("holloway").error("heard once")
    assert client.take().count("heard once\n") == 1
    connection.connection_lost(None)
    logging.getLogger("holloway").error("not heard")
    assert client.take() == ""


def test_a_slow_follower_misses_lines_and_gets_their_number(device_log: DeviceLog) -> None:
    log = logging.getLogger("holloway")
    connection, client = connect(device_log)
    connection.data_received(b"log=follow\n\n")
    client.take()
    client.waiting = MAX_BACKLOG + 1
    for _ in range(3):
        log.error("too much")
    assert client.take() == ""
    client.waiting = 0
    log.error("again")
    assert client.take().startswith("(3 lines left out)\nERROR: (wg0) ")


def test_a_follower_may_send_other_requests_too(device_log: DeviceLog) -> None:
    connection, client = connect(device_log)
    connection.data_received(b"log=follow\n\nget=1\n\n")
    assert client.take().endswith("listen_port=0\nerrno=0\n\n")


def test_discards_are_answered_and_take_no_arguments(device_log: DeviceLog) -> None:
    client = Client()
    connection = UapiConnection(NoDevice(), device_log)
    connection.connection_made(client)
    connection.data_received(b"discards=1\n\ndiscards=1\nall=1\n\n")
    assert client.take() == "forged=1\nerrno=0\n\nerrno=22\n\n"
    assert not client.closed
