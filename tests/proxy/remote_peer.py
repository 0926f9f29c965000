"""The other end of a tunnel, with servers: web pages, an upload, an echo, ssh."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from holloway import Network
from net.pair import FIRST, SECOND, echo, network, new_key, peer
from waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holloway import Key

PAGE = b"a page from far away\n"
SSH_PORT = 2222


@dataclass
class RemotePeer:
    """A network with servers, and the configuration of its peer."""

    network: Network
    config: Path

    async def command(self, *words: str, stdin: bytes | None = None) -> tuple[int, bytes, str]:
        """Run a program to its end; returns status, output and errors."""
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            output, errors = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, output, errors.decode()

    @contextlib.asynccontextmanager
    async def proxy(self, *options: str, lines: int) -> AsyncIterator[RunningProxy]:
        """Run `holloway proxy` with the configuration; yields once it has printed so many lines."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "holloway", "proxy", str(self.config), *options,
            stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        running = RunningProxy(process)
        try:
            assert await wait_until(lambda: len(running.lines) >= lines, 20), running.lines
            yield running
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await running.reading


class RunningProxy:
    """A running proxy, and its output."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.reading = asyncio.create_task(self._read())

    def port(self, start: str) -> int:
        """Return the port of the first line that starts so, after the time of day."""
        [line, *_] = [line for line in self.lines if line[9:].startswith(start)]
        return int(line[9 + len(start) :].partition(" ")[0].partition("/")[0].rpartition(":")[2])

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip())


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer GET with the page, and PUT with the size of its body."""
    with contextlib.closing(writer), contextlib.suppress(EOFError, ConnectionError):
        head = await reader.readuntil(b"\r\n\r\n")
        body = PAGE
        if b"Transfer-Encoding: chunked" in head:
            size = 0
            while length := int(await reader.readline(), 16):
                size += len(await reader.readexactly(length + 2)) - 2
            body = b"%d bytes" % size
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()


def config(key: Key, remote_key: Key, port: int) -> str:
    return (
        f"[Interface]\nPrivateKey = {key.base64}\nAddress = {SECOND[0]}/24, {SECOND[1]}/64\n"
        f"PostUp = iptables -A FORWARD -i %i\n\n"
        f"[Peer]\nPublicKey = {remote_key.public().base64}\nEndpoint = 127.0.0.1:{port}\n"
        f"AllowedIPs = {FIRST[0]}/32, {FIRST[1]}/128\n"
    )


@contextlib.asynccontextmanager
async def remote_peer(directory: Path, services: str = "") -> AsyncIterator[RemotePeer]:
    """Set up a remote peer; `services` are sections of wireproxy for the configuration."""
    keys = new_key(), new_key()
    async with network(1, keys[0], peer(keys[1], *SECOND), stack=None) as first:
        await first.start_server(web, port=80)
        await first.start_server(echo, port=7)
        path = directory / "laptop.conf"
        path.touch(0o600)
        path.write_text(config(keys[1], keys[0], first.device.listen_port) + services)
        yield RemotePeer(first, path)


def descriptors(pid: int) -> int:
    """Return the number of open file descriptors of a process."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid: int) -> list[int]:
    """Return the child processes of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
