"""Serves one client of the HTTP proxy: CONNECT, and requests for whole http:// URLs.

A connection carries one request: the server is told to close after its answer, and nothing beyond
the request's own body reaches it, so that a next request cannot end up at the wrong host.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from holloway.errors import BadMessage
from holloway.proxy import http
from holloway.proxy.door import Refused, explain
from holloway.proxy.side import show

if TYPE_CHECKING:
    from socket import socket

    from holloway.proxy.door import Visitor
    from holloway.proxy.relay import Outcome
    from holloway.proxy.settings import Login
    from holloway.proxy.side import Side

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CHALLENGE = (("Proxy-Authenticate", 'Basic realm="holloway", charset="UTF-8"'),)


class Http:
    """The service, into `side`."""

    name = "http"

    def __init__(self, side: Side, login: Login | None) -> None:
        self._side = side
        self._login = login

    async def serve(self, visitor: Visitor) -> Outcome:
        head = await self._request(visitor)
        target = show((head.host, head.port))
        visitor.admit(target)
        try:
            sock = await visitor.reach(self._side, head.host, head.port)
        except OSError as error:
            status = 504 if isinstance(error, TimeoutError) else 502
            text = f"holloway proxy: {target}: {explain(error)}\n"
            await visitor.part(http.write_answer(status, text))
            raise
        if head.path is None:
            return await self._tunnel(visitor, sock)
        if head.is_upgrade:
            return await visitor.relay(sock, head=http.rewrite(head))
        if head.length is None:
            return await self._relay_chunked(visitor, sock, head)
        return await visitor.relay(sock, head.length, http.rewrite(head))

    async def _request(self, visitor: Visitor) -> http.Head:
        try:
            head = await visitor.reader.read(http.read_head_untrusted)
        except http.BadRequest as error:
            await visitor.part(http.write_answer(error.status, f"holloway proxy: {error}\n"))
            raise
        if self._login is None:
            return head
        credentials = http.read_credentials_untrusted(head)
        if credentials is None or not self._login.accepts(*credentials):
            text = "holloway proxy: a user and a password are required\n"
            await visitor.part(http.write_answer(407, text, CHALLENGE))
            raise Refused("wrong user or password" if credentials else "no user and password")
        return head

    async def _tunnel(self, visitor: Visitor, sock: socket) -> Outcome:
        try:
            await visitor.send(ESTABLISHED)
        except BaseException:
            sock.close()
            raise
        return await visitor.relay(sock)

    async def _relay_chunked(self, visitor: Visitor, sock: socket, head: http.Head) -> Outcome:
        """Send a body whose end only its chunks tell, then copy the answer.

        The answer waits that long, so who asks first whether to go on is told by us.
        """
        if any(value.lower() == "100-continue" for value in head.values("expect")):
            await visitor.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            fields = tuple(field for field in head.fields if field[0].lower() != "expect")
            head = replace(head, fields=fields)
        try:
            sent = await self._send_chunked(visitor, sock, http.rewrite(head))
        except BaseException:
            sock.close()
            raise
        outcome = await visitor.relay(sock, 0)
        return replace(outcome, sent=sent)

    async def _send_chunked(self, visitor: Visitor, sock: socket, head: bytes) -> int:
        loop = asyncio.get_running_loop()
        chunks, sent = http.Chunks(), 0
        # A server that wants no more of it has said why: that is for the relay to find.
        with contextlib.suppress(ConnectionError):
            await loop.sock_sendall(sock, head)
            while not chunks.is_done:
                data = await visitor.reader.more()
                if not data:
                    raise BadMessage("the client ended within its body")
                size = chunks.take_untrusted(data)
                await loop.sock_sendall(sock, data[:size])
                sent += size
        return sent
