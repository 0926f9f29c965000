"""Serves one SOCKS5 client: authentication, request and answer."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from holloway.proxy import socks5
from holloway.proxy.address import format_address
from holloway.proxy.associate import Association
from holloway.proxy.client import Refused
from holloway.proxy.relay import Options
from holloway.proxy.settings import UDP_IDLE_TIMEOUT
from holloway.proxy.socks5 import Command, Method, Reply

if TYPE_CHECKING:
    from socket import socket

    from holloway.proxy.address import Address
    from holloway.proxy.client import Client
    from holloway.proxy.connection_log import ConnectionLog
    from holloway.proxy.flows import FlowLimits
    from holloway.proxy.networks import ProxyNetwork
    from holloway.proxy.relay import Outcome
    from holloway.proxy.settings import Login

MAX_TARGETS: Final = 256
"""Targets of an association at the same time."""


class Socks5:
    """The service: CONNECT and UDP ASSOCIATE into `network`."""

    name = "socks5"

    def __init__(
        self,
        network: ProxyNetwork,
        login: Login | None,
        connection_log: ConnectionLog,
        flow_limits: FlowLimits,
    ) -> None:
        self._network = network
        self._login = login
        self._connection_log = connection_log
        self._flows = flow_limits.add_service(idle=UDP_IDLE_TIMEOUT, max_flows=MAX_TARGETS)

    async def serve(self, client: Client) -> Outcome | None:
        await self._greet(client)
        request = await self._request(client)
        target = (request.host, request.port)
        match request.command:
            case Command.CONNECT:
                client.accepted(format_address(target))
                return await self._connect(client, target)
            case Command.ASSOCIATE:
                client.accepted("UDP")
                association = Association(
                    self._network, client, request, self._connection_log, self._flows
                )
                return await association.run()
        await client.send_and_close(socks5.write_reply(Reply.COMMAND_UNKNOWN))
        raise Refused(f"command {request.command} is not served")

    async def _greet(self, client: Client) -> None:
        methods = await client.reader.read(socks5.read_greeting_untrusted)
        wanted = Method.NONE if self._login is None else Method.PASSWORD
        if wanted not in methods:
            await client.send_and_close(socks5.write_method(Method.NONE_ACCEPTABLE))
            raise Refused("it offers no password" if self._login else "it requires a password")
        await client.send(socks5.write_method(wanted))
        if self._login is None:
            return
        credentials = await client.reader.read(socks5.read_credentials_untrusted)
        is_right = self._login.accepts(*credentials)
        if not is_right:
            await client.send_and_close(socks5.write_verdict(is_right=False))
            raise Refused("wrong user or password")
        await client.send(socks5.write_verdict(is_right=True))

    async def _request(self, client: Client) -> socks5.Request:
        try:
            return await client.reader.read(socks5.read_request_untrusted)
        except socks5.AddressUnknown:
            await client.send_and_close(socks5.write_reply(Reply.ADDRESS_UNKNOWN))
            raise

    async def _connect(self, client: Client, target: Address) -> Outcome:
        try:
            return await client.run(self._network, target, Options(), write_success)
        except OSError as error:
            await client.send_and_close(socks5.write_reply(reply_to(error)))
            raise


def write_success(target: socket) -> bytes:
    """Write the answer to a client whose target is reached."""
    return socks5.write_reply(Reply.SUCCEEDED, *bound(target))


def bound(sock: socket) -> tuple[str, int]:
    """Return the local address of a connection; the userspace stack may not know it."""
    name = sock.getsockname()
    return name[:2] if isinstance(name, tuple) else (socks5.UNKNOWN_HOST, 0)


def reply_to(error: OSError) -> Reply:
    """Return the code of SOCKS5 for the reason why a target was not reached."""
    if isinstance(error, TimeoutError):
        return Reply.EXPIRED
    return _REPLIES.get(error.errno or 0, Reply.FAILURE)


_REPLIES: Final = {
    errno.ECONNREFUSED: Reply.REFUSED,
    errno.ENETUNREACH: Reply.NETWORK_UNREACHABLE,
    errno.EHOSTUNREACH: Reply.HOST_UNREACHABLE,
    errno.ENOKEY: Reply.NETWORK_UNREACHABLE,
    errno.EDESTADDRREQ: Reply.HOST_UNREACHABLE,
    errno.EAFNOSUPPORT: Reply.ADDRESS_UNKNOWN,
}
