"""Names looked up through the tunnel: a small stub resolver (RFC 1035, RFC 7766).

Asks the name servers of the configuration for A and AAAA at once, over UDP and then TCP where the
answer was cut; tries search domains as resolv.conf(5) has it. `network` brings the connections.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Iterator, Sequence
from typing import Final, Protocol

from holloway.errors import BadMessage
from holloway.net.dns import (
    AAAA,
    NAME_ERROR,
    NO_ERROR,
    A,
    Answer,
    encode_query,
    parse_answer_untrusted,
)


class Connect(Protocol):
    """`Network.connect`."""

    def __call__(
        self,
        host: str,
        port: int,
        *,
        type: int = ...,  # noqa: A002
    ) -> Awaitable[socket.socket]: ...


class StubResolver:
    """Looks names up with the given servers, or the system's where there are none."""

    def __init__(self, connect: Connect, servers: Sequence[str], domains: Sequence[str]) -> None:
        self._connect = connect
        self._servers = servers
        self._domains = [domain for domain in domains if not domain.startswith("~")]

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """The addresses of a name, each once; raises socket.gaierror."""
        if not self._servers:
            return await _ask_system(host, family)
        kinds = [kind for kind, of in FAMILIES.items() if family in {0, of}]
        for name in self._candidates(host):
            answers = await asyncio.gather(*(self._ask(name, kind) for kind in kinds))
            if found := [address for answer in answers for address in answer.addresses]:
                return list(dict.fromkeys(found))
        raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")

    def _candidates(self, host: str) -> Iterator[str]:
        """The names that a short name may stand for."""
        if host.endswith("."):
            yield host
            return
        longer = [f"{host}.{domain}" for domain in self._domains]
        yield from [host, *longer] if "." in host else [*longer, host]

    async def _ask(self, name: str, kind: int) -> Answer:
        """Ask one server after the other until one knows."""
        try:
            query = encode_query(int.from_bytes(os.urandom(2), "big"), name, kind)
        except ValueError:
            raise socket.gaierror(socket.EAI_NONAME, f"not a name: {name}") from None
        last_error: OSError = socket.gaierror(
            socket.EAI_AGAIN, f"Temporary failure in name resolution: {name}"
        )
        for server in tuple(self._servers) * ROUNDS:
            try:
                answer = await self._exchange(server, query)
            except TimeoutError:
                continue
            except OSError as error:
                last_error = error
                continue
            if answer.code in {NO_ERROR, NAME_ERROR}:
                return answer
        raise last_error

    async def _exchange(self, server: str, query: bytes) -> Answer:
        async with asyncio.timeout(ANSWER_SECONDS):
            with await self._connect(server, PORT, type=socket.SOCK_DGRAM) as sock:
                answer = await _over_udp(sock, query)
        if not answer.truncated:
            return answer
        async with asyncio.timeout(ANSWER_SECONDS):
            with await self._connect(server, PORT, type=socket.SOCK_STREAM) as sock:
                return await _over_tcp(sock, query)


async def _over_udp(sock: socket.socket, query: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, query)
    while True:
        message = await loop.sock_recv(sock, MAX_MESSAGE)
        try:
            return parse_answer_untrusted(message, query)
        except BadMessage:
            continue  # forged, or the late answer to another question


async def _over_tcp(sock: socket.socket, query: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, len(query).to_bytes(2, "big") + query)
    message = b""
    while len(message) < 2 or len(message) < 2 + int.from_bytes(message[:2], "big"):
        part = await loop.sock_recv(sock, MAX_MESSAGE)
        if not part:
            raise ConnectionResetError(f"{sock.getpeername()[0]} ended within an answer")
        message += part
    try:
        return parse_answer_untrusted(message[2:], query)
    except BadMessage as error:
        raise socket.gaierror(socket.EAI_FAIL, str(error)) from None


async def _ask_system(host: str, family: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, None, family=family, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


FAMILIES: Final = {A: socket.AF_INET, AAAA: socket.AF_INET6}
PORT: Final = 53
ROUNDS: Final = 2
ANSWER_SECONDS: Final = 2.5
MAX_MESSAGE: Final = 65_535
