"""Name resolution through the tunnel: a small stub resolver (RFC 1035, RFC 7766).

Asks the name servers of the configuration for A and AAAA records at the same time, over UDP, and
over TCP if the answer was truncated. Tries search domains as resolv.conf(5) does. `network`
provides the connections.
"""

from __future__ import annotations

import asyncio
import os
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final, Protocol

from holloway.errors import BadMessage
from holloway.net.daemon_thread import in_daemon_thread
from holloway.net.dns import (
    AAAA,
    NAME_ERROR,
    NO_ERROR,
    A,
    Answer,
    encode_query,
    parse_answer_untrusted,
)
from holloway.net.no_answer import DNS_PORT
from holloway.text.address import is_localhost


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
    """Looks names up with the given servers, or with the system's resolver if there are none.

    `no_answer` returns why a port of an address did not answer.
    """

    def __init__(
        self,
        connect: Connect,
        no_answer: Callable[[str, int], str],
        servers: Sequence[str],
        domains: Sequence[str],
    ) -> None:
        self._connect = connect
        self._no_answer = no_answer
        self._servers = servers
        self._domains = [domain for domain in domains if not domain.startswith("~")]

    async def resolve(self, host: str, *, family: int = 0) -> list[str]:
        """The addresses of a name, each once; raises socket.gaierror."""
        if is_localhost(host):
            return [own for of, own in LOOPBACK.items() if family in {0, of}]
        if not self._servers:
            return await _ask_system(host, family)
        kinds = [kind for kind, of in FAMILIES.items() if family in {0, of}]
        for name in self._candidates(host):
            answers = await asyncio.gather(*(self._ask(name, kind) for kind in kinds))
            if found := [address for answer in answers for address in answer.addresses]:
                return list(dict.fromkeys(found))
        asked = ", ".join(self._servers)
        text = f"Name or service not known: {host} (asked {asked})"
        raise socket.gaierror(socket.EAI_NONAME, text)

    def _candidates(self, host: str) -> Iterator[str]:
        """Yield the names to try: the name itself, and the name in each search domain."""
        if host.endswith("."):
            yield host
            return
        longer = [f"{host}.{domain}" for domain in self._domains]
        yield from [host, *longer] if "." in host else [*longer, host]

    async def _ask(self, name: str, kind: int) -> Answer:
        """Ask one server after the other until one answers."""
        try:
            query = encode_query(int.from_bytes(os.urandom(2), "big"), name, kind)
        except ValueError:
            raise not_a_name(name) from None
        failure: OSError | None = None
        for server in tuple(self._servers) * ROUNDS:
            try:
                answer = await self._exchange(server, query)
            except TimeoutError:
                reason = self._no_answer(server, DNS_PORT)
                failure = _temporary(name, f"name server {server}: {reason}")
            except socket.gaierror as error:
                failure = error
            except OSError as error:
                failure = OSError(error.errno, f"name server {server}: {error.strerror}")
            else:
                if answer.code in {NO_ERROR, NAME_ERROR}:
                    return answer
                failure = _temporary(name, f"the name server {server} failed: code {answer.code}")
        assert failure is not None
        raise failure

    async def _exchange(self, server: str, query: bytes) -> Answer:
        async with asyncio.timeout(ANSWER_SECONDS):
            with await self._connect(server, DNS_PORT, type=socket.SOCK_DGRAM) as sock:
                answer = await _over_udp(sock, query)
        if not answer.truncated:
            return answer
        async with asyncio.timeout(ANSWER_SECONDS):
            with await self._connect(server, DNS_PORT, type=socket.SOCK_STREAM) as sock:
                return await _over_tcp(sock, query)


def not_a_name(text: str) -> socket.gaierror:
    """The text is nothing that a host could be named."""
    return socket.gaierror(socket.EAI_NONAME, f"not a name: {text}")


def _temporary(name: str, reason: str) -> socket.gaierror:
    text = f"Temporary failure in name resolution: {name} ({reason})"
    return socket.gaierror(socket.EAI_AGAIN, text)


async def _over_udp(sock: socket.socket, query: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, query)
    while True:
        message = await loop.sock_recv(sock, MAX_MESSAGE)
        try:
            return parse_answer_untrusted(message, query)
        except BadMessage:
            continue  # forged, or a late answer to another question


async def _over_tcp(sock: socket.socket, query: bytes) -> Answer:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, len(query).to_bytes(2, "big") + query)
    message = b""
    while len(message) < 2 or len(message) < 2 + int.from_bytes(message[:2], "big"):
        part = await loop.sock_recv(sock, MAX_MESSAGE)
        if not part:
            raise socket.gaierror(socket.EAI_AGAIN, "the name server closed within an answer")
        message += part
    try:
        return parse_answer_untrusted(message[2:], query)
    except BadMessage as error:
        raise socket.gaierror(socket.EAI_FAIL, str(error)) from None


async def _ask_system(host: str, family: int) -> list[str]:
    limit = _look_ups.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(LOOK_UPS))
    arguments = (host, None, family, socket.SOCK_STREAM)
    try:
        async with limit:
            found = await in_daemon_thread(socket.getaddrinfo, *arguments)
    except socket.gaierror as error:
        hint = "without DNS in the configuration the system is asked"
        raise socket.gaierror(error.errno, f"{error.strerror}: {host} ({hint})") from None
    except UnicodeError:  # a label that is empty or too long
        raise not_a_name(host) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


LOOPBACK: Final = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES: Final = {A: socket.AF_INET, AAAA: socket.AF_INET6}
ROUNDS: Final = 3  # so that there is time for a second handshake attempt, 5.3 s after the first
ANSWER_SECONDS: Final = 2.5
MAX_MESSAGE: Final = 65_535
LOOK_UPS: Final = 32
"""How many names an event loop asks the system for at once; each takes a thread."""
_look_ups: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
    weakref.WeakKeyDictionary()
)
