"""Serves one client of the HTTP proxy: CONNECT, and requests with an absolute http:// URL.

A connection carries one request. The server is asked to close after its answer, and nothing beyond
the request's own body reaches it, so that a second request cannot reach the wrong host.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

from holloway.errors import BadMessage
from holloway.net.errors import explain
from holloway.proxy import http
from holloway.proxy.address import format_address
from holloway.proxy.client import Refused
from holloway.proxy.relay import Options

if TYPE_CHECKING:
    from socket import socket

    from holloway.proxy.client import Client
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.relay import Outcome
    from holloway.proxy.settings import Login

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
CHALLENGE = (("Proxy-Authenticate", 'Basic realm="holloway", charset="UTF-8"'),)


class Http:
    """The service, into `network`."""

    name = "http"

    def __init__(self, network: ProxyNetwork, login: Login | None) -> None:
        self._network = network
        self._login = login

    async def serve(self, client: Client) -> Outcome:
        head = await self._request(client)
        target = head.host, head.port
        client.accepted(format_address(target))
        try:
            if head.path is None:
                return await client.run(self._network, target, Options(), lambda _: ESTABLISHED)
            if head.is_upgrade or head.length is not None:
                limit = None if head.is_upgrade else head.length
                options = Options(limit, to_target=http.rewrite(head))
                return await client.run(self._network, target, options)
            sock = await client.connect(self._network, *target)
        except OSError as error:
            status = 504 if isinstance(error, TimeoutError) else 502
            text = f"holloway proxy: {format_address(target)}: {explain(error)}\n"
            await client.send_and_close(http.write_answer(status, text))
            raise
        return await self._relay_chunked(client, sock, head)

    async def _request(self, client: Client) -> http.Head:
        try:
            head = await client.reader.read(http.read_head_untrusted)
        except http.BadRequest as error:
            await client.send_and_close(
                http.write_answer(error.status, f"holloway proxy: {error}\n")
            )
            raise
        if self._login is None:
            return head
        credentials = http.read_credentials_untrusted(head)
        if credentials is None or not self._login.accepts(*credentials):
            text = "holloway proxy: a user and a password are required\n"
            await client.send_and_close(http.write_answer(407, text, CHALLENGE))
            raise Refused("wrong user or password" if credentials else "no user and password")
        return head

    async def _relay_chunked(self, client: Client, sock: socket, head: http.Head) -> Outcome:
        """Send a body up to its last chunk, then copy the answer.

        The server's answer waits for the whole body, so the proxy itself answers
        `Expect: 100-continue`.
        """
        try:
            if any(value.lower() == "100-continue" for value in head.values("expect")):
                await client.send(b"HTTP/1.1 100 Continue\r\n\r\n")
                fields = tuple(field for field in head.fields if field[0].lower() != "expect")
                head = replace(head, fields=fields)
            await self._send_chunked(client, sock, http.rewrite(head))
        except BaseException:
            sock.close()
            raise
        return await client.relay(sock, Options(limit=0))

    async def _send_chunked(self, client: Client, sock: socket, head: bytes) -> None:
        chunks = http.Chunks()
        # A server that reads no further has sent its answer, which the relay copies.
        with contextlib.suppress(ConnectionError):
            await client.send_to(sock, head)
            while not chunks.is_done:
                data = await client.reader.more()
                if not data:
                    raise BadMessage("the client ended within its body")
                size = chunks.take_untrusted(data)
                await client.send_to(sock, data[:size])
