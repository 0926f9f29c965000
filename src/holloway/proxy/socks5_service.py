"""Serves one SOCKS5 client: who it is, where it wants to go, and the answer."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from holloway.proxy import socks5
from holloway.proxy.associate import Association
from holloway.proxy.door import Refused
from holloway.proxy.side import show
from holloway.proxy.socks5 import Command, Method, Reply

if TYPE_CHECKING:
    from socket import socket

    from holloway.proxy.door import Visitor
    from holloway.proxy.journal import Journal
    from holloway.proxy.relay import Outcome
    from holloway.proxy.settings import Login
    from holloway.proxy.side import Side


class Socks5:
    """The service: CONNECT and UDP ASSOCIATE into `side`."""

    name = "socks5"

    def __init__(self, side: Side, login: Login | None, journal: Journal) -> None:
        self._side = side
        self._login = login
        self._journal = journal

    async def serve(self, visitor: Visitor) -> Outcome | None:
        await self._greet(visitor)
        request = await self._request(visitor)
        target = (request.host, request.port)
        match request.command:
            case Command.CONNECT:
                visitor.admit(show(target))
                return await self._connect(visitor, *target)
            case Command.ASSOCIATE:
                visitor.admit("UDP")
                association = Association(self._side, visitor, request, self._journal)
                return await association.run()
        await visitor.part(socks5.write_reply(Reply.COMMAND_UNKNOWN))
        raise Refused(f"command {request.command} is not served")

    async def _greet(self, visitor: Visitor) -> None:
        methods = await visitor.reader.read(socks5.read_greeting_untrusted)
        wanted = Method.NONE if self._login is None else Method.PASSWORD
        if wanted not in methods:
            await visitor.part(socks5.write_method(Method.NONE_ACCEPTABLE))
            raise Refused("it offers no password" if self._login else "it insists on a password")
        await visitor.send(socks5.write_method(wanted))
        if self._login is None:
            return
        credentials = await visitor.reader.read(socks5.read_credentials_untrusted)
        is_right = self._login.accepts(*credentials)
        if not is_right:
            await visitor.part(socks5.write_verdict(is_right=False))
            raise Refused("wrong user or password")
        await visitor.send(socks5.write_verdict(is_right=True))

    async def _request(self, visitor: Visitor) -> socks5.Request:
        try:
            return await visitor.reader.read(socks5.read_request_untrusted)
        except socks5.AddressUnknown:
            await visitor.part(socks5.write_reply(Reply.ADDRESS_UNKNOWN))
            raise

    async def _connect(self, visitor: Visitor, host: str, port: int) -> Outcome:
        try:
            target = await visitor.reach(self._side, host, port)
        except OSError as error:
            await visitor.part(socks5.write_reply(reply_to(error)))
            raise
        try:
            await visitor.send(socks5.write_reply(Reply.SUCCEEDED, *bound(target)))
        except BaseException:
            target.close()
            raise
        return await visitor.relay(target)


def bound(sock: socket) -> tuple[str, int]:
    """The address of our end; a stream of the userspace stack does not know it."""
    name = sock.getsockname()
    return name[:2] if isinstance(name, tuple) else (socks5.UNKNOWN_HOST, 0)


def reply_to(error: OSError) -> Reply:
    """The word of SOCKS5 for why a target was not reached."""
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
