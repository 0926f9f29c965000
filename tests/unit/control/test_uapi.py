from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING

import pytest

from holloway import control
from holloway.control import uapi
from holloway.key import Key
from holloway.model import DeviceUpdate, Peer
from scripted_device import ScriptedDevice

if TYPE_CHECKING:
    from pathlib import Path

PA = Key(bytes([5]) * 32)


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # With a short path, because the path of a socket has at most 108 bytes.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(uapi, "DIRECTORY", ".")
    return tmp_path


def test_a_device_is_found_read_and_changed(directory: Path) -> None:
    with ScriptedDevice("wg0.sock", f"listen_port=7\npublic_key={PA.hex}\nerrno=0\n\n") as device:
        assert uapi.names() == ["wg0"]
        found = control.find("wg0")
        assert found.get().peers == (Peer(PA),)
        found.set(DeviceUpdate(listen_port=9))
    assert device.requests == ["get=1\n\n", "set=1\nlisten_port=9\n\n"]


@pytest.mark.parametrize(
    ("answer", "number"),
    [("errno=22\n\n", 22), ("errno=-22\n\n", errno.EPROTO), ("listen_port=x\nerrno=0\n\n", 71),
     ("listen_port=5\n\n", errno.EPROTO), ("", errno.EPROTO), ("errno=0\n", errno.EPROTO)],
)  # fmt: skip
def test_a_failed_get_raises_the_errno(answer: str, number: int) -> None:
    with ScriptedDevice("wg0.sock", answer), pytest.raises(OSError, match=r".") as caught:
        control.find("wg0").get()
    assert caught.value.errno == number


@pytest.mark.parametrize(("answer", "number"), [("errno=-98\n\n", 98), ("errno=98\n\n", -98)])
def test_a_failed_set_raises_the_negated_errno(answer: str, number: int) -> None:
    with ScriptedDevice("wg0.sock") as device:
        device.set_answer = answer
        with pytest.raises(OSError, match=r".") as caught:
            control.find("wg0").set(DeviceUpdate())
    assert caught.value.errno == number


def test_a_long_answer_is_read_whole() -> None:
    lines = "".join(f"public_key={number:064x}\n" for number in range(5000))
    with ScriptedDevice("wg0.sock", f"{lines}errno=0\n\n"):
        assert len(control.find("wg0").get().peers) == 5000


def test_a_dead_socket_is_removed_and_a_live_one_stays(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("dead.sock")
    with ScriptedDevice("live.sock"):
        (directory / "file.sock").touch()
        (directory / ".sock").touch()
        assert uapi.names() == ["live"]
    assert sorted(os.listdir(directory)) == [".sock", "file.sock", "live.sock"]


@pytest.mark.parametrize("name", ["nope", "a/b", "../wg0", "", "x" * 200, "a\0b"])
def test_a_name_without_a_socket_gets_the_error_of_a_missing_kernel_module(name: str) -> None:
    for action in (
        lambda: control.find(name).get(),
        lambda: control.find(name).set(DeviceUpdate()),
    ):
        with pytest.raises(OSError, match="Protocol not supported"):
            action()


def test_without_the_directory_there_are_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uapi, "DIRECTORY", "./none")
    assert uapi.names() == []


class InPieces:
    """A connection whose answer comes in pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)

    def sendall(self, request: bytes) -> None:
        assert request == b"get=1\n\n"

    def recv(self, _size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        pass


def test_an_answer_ends_at_its_blank_line_wherever_it_is_split(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = b"listen_port=7\nerrno=0\n\nlisten_port=9\nerrno=5\n\n"
    for place in range(1, len(answer)):
        connection = InPieces(answer[:place], answer[place:])
        monkeypatch.setattr(uapi, "_connect", lambda _, found=connection: found)
        assert uapi.UapiDevice("wg0").get().listen_port == 7
    for place in range(answer.index(b"\n\n") + 1):
        connection = InPieces(answer[:place])
        monkeypatch.setattr(uapi, "_connect", lambda _, found=connection: found)
        with pytest.raises(OSError, match="Protocol error"):
            uapi.UapiDevice("wg0").get()
