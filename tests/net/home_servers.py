"""The servers at home, in a program of their own that listens on the device's addresses.

Run inside a host, with the directory of its certificate and keys.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import sys
from pathlib import Path
from typing import cast

import asyncssh

ADDRESSES = ["10.10.10.5", "fd10::5"]


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer with the client and the path; `/big` is a megabyte."""
    with contextlib.closing(writer), contextlib.suppress(EOFError, OSError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next((int(line.split(":")[1]) for line in head.lower().splitlines()
                           if line.startswith("content-length:")), 0)  # fmt: skip
            sent = await reader.readexactly(length)
            path = head.split()[1]
            body = bytes(1 << 20) if path == "/big" else _page(writer, path, sent)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            await writer.drain()


def _page(writer: asyncio.StreamWriter, path: str, sent: bytes) -> bytes:
    who = writer.get_extra_info("peername")[0]
    return b"%d bytes came" % len(sent) if sent else f"{path} for {who}".encode()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send every byte back."""
    with contextlib.closing(writer), contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()


class DatagramEcho(asyncio.DatagramProtocol):
    """Send every byte back."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(data, address)


class Ssh(asyncssh.SSHServer):
    """Accept everybody who has an authorized key."""


async def command(process: asyncssh.SSHServerProcess[str]) -> None:
    """Run the only program of this machine."""
    process.stdout.write(f"nas: {process.command}\n")
    process.exit(0)


async def main(directory: Path) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "certificate.pem")
    await asyncio.start_server(web, ADDRESSES, 80)
    await asyncio.start_server(web, ADDRESSES, 443, ssl=context)
    await asyncio.start_server(echo, ADDRESSES, 7)
    for address in ADDRESSES:
        await loop.create_datagram_endpoint(DatagramEcho, local_addr=(address, 7))
    await asyncssh.listen(
        ADDRESSES[0], 22, server_factory=Ssh, process_factory=command,
        server_host_keys=[str(directory / "host_key")],
        authorized_client_keys=str(directory / "authorized_keys"),
    )  # fmt: skip
    print("ready", flush=True)
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1])))
