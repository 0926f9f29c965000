"""The health pages of a proxy over HTTP: `/healthz`, `/readyz`, `/status` and `/metrics`.

They show public keys, and neither secrets nor clients and targets. `metrics` writes the page for
Prometheus.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from holloway.model import SECOND
from holloway.proxy import http
from holloway.proxy.connection_log import HEALTH
from holloway.proxy.metrics import HasDevice, Metrics
from holloway.text.address import numeric

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holloway.proxy.client import Client
    from holloway.proxy.connection_log import ConnectionLog

SLACK: Final = 2.0
"""Seconds that an answer may be late before it counts as missing, as in wireproxy."""


class Tunnel(HasDevice, Protocol):
    """The part of a network that the pages show."""

    @property
    def stack(self) -> str: ...

    async def ping(self, host: str, timeout: float = ...) -> float: ...


class AliveCheck:
    """Pings addresses and remembers when they last answered."""

    def __init__(self, tunnel: Tunnel, addresses: Sequence[str], interval: float) -> None:
        self._tunnel = tunnel
        self._interval = interval
        self._clock: dict[str, float] = {}
        self.answered = dict.fromkeys(addresses, 0)
        """When each address last answered, in seconds since 1970; 0 for never."""
        self._tasks = [asyncio.create_task(self._ping(address)) for address in addresses]

    @property
    def is_ready(self) -> bool:
        """Whether every address answered within the interval."""
        since = time.monotonic() - self._interval - SLACK
        return all(self._clock.get(address, 0.0) >= since for address in self.answered)

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _ping(self, address: str) -> None:
        while True:
            next_turn = asyncio.create_task(asyncio.sleep(self._interval))
            try:
                await self._tunnel.ping(address, timeout=self._interval)
            except OSError:
                pass  # also a TimeoutError; the time of the last answer stays as it is
            else:
                self.answered[address] = int(time.time())
                self._clock[address] = time.monotonic()
            await next_turn


class Health:
    """The service that answers with these pages."""

    name = HEALTH

    def __init__(
        self,
        tunnel: Tunnel,
        connection_log: ConnectionLog,
        alive: AliveCheck,
        names: Iterable[str] = (),
    ) -> None:
        self._tunnel = tunnel
        self._names = {name.lower() for name in (*LOCAL_NAMES, socket.gethostname(), *names)}
        self._connection_log = connection_log
        self._alive = alive
        self._metrics = Metrics(tunnel, connection_log)

    async def serve(self, client: Client) -> None:
        request = await client.reader.read(read_request_untrusted)
        client.accepted(request.path)
        answer = self._answer(request)
        if request.method == "HEAD":  # all but the content (RFC 9110, 9.3.2)
            answer = answer[: answer.index(b"\r\n\r\n") + 4]
        await client.send_and_close(answer)

    def _answer(self, request: Request) -> bytes:
        if not self._is_ours(request.host):
            text = f"use this host's address, or start with --health {request.host}:PORT\n"
            return http.write_answer(421, text)
        if request.method not in ("GET", "HEAD"):
            return http.write_answer(405, "GET it\n", (("Allow", "GET, HEAD"),))
        match request.path.partition("?")[0]:
            case "/healthz":
                return http.write_answer(200, "ok\n")
            case "/readyz":
                text = json.dumps(self._alive.answered, separators=(",", ":"))
                status = 200 if self._alive.is_ready else 503
                return http.write_answer(status, text, kind=_JSON)
            case "/status":
                return http.write_answer(200, self.status(), kind=_JSON)
            case "/metrics":
                text, kind = self._metrics.write(request.accept)
                return http.write_answer(200, text, kind=kind)
        return http.write_answer(404, "there are /healthz, /readyz, /status and /metrics\n")

    def _is_ours(self, host: str) -> bool:
        """Whether a browser that asks for this host can be one of ours.

        A page of the internet can have its own name resolve to our address, and then read what we
        answer to that name (DNS rebinding). It can do so neither with an address nor with a name
        that is not its own.
        """
        return not host or numeric(host) is not None or host.lower() in self._names

    def status(self) -> str:
        """Return the page `/status`, as JSON."""
        sent, received = self._connection_log.moved()
        ended: dict[str, dict[str, int]] = {}
        for (service, outcome), count in sorted(self._connection_log.ended.items()):
            ended.setdefault(service, {})[outcome] = count
        peers = [
            {
                "public_key": peer.public_key.base64,
                "endpoint": None if peer.endpoint is None else str(peer.endpoint),
                "latest_handshake": peer.latest_handshake // SECOND,
                "received": peer.rx_bytes,
                "sent": peer.tx_bytes,
            }
            for peer in self._tunnel.device.peers
        ]
        status = {
            "stack": self._tunnel.stack,
            "open": self._connection_log.open_connections(),
            "ended": ended,
            "sent": sent,
            "received": received,
            "datagrams": dict(self._connection_log.datagrams),
            "peers": peers,
        }
        return json.dumps(status, indent=2) + "\n"


@dataclass(frozen=True, slots=True)
class Request:
    """A request for a page.

    `accept` has the media types that the client understands. `host` is the host that it asked for,
    by name or number; empty if it does not say.
    """

    method: str
    path: str
    accept: str = ""
    host: str = ""


def read_request_untrusted(data: bytes) -> tuple[Request, int] | None:
    """Parse a request for a page; all fields but `Accept` and `Host` are ignored."""
    end = data.find(b"\r\n\r\n", 0, _MAX_REQUEST)
    if end < 0:
        if len(data) >= _MAX_REQUEST:
            raise http.BadRequest(431, "the request is too large")
        return None
    found = _REQUEST.match(data)
    if found is None:
        raise http.BadRequest(400, "this is no request for a page")
    accept = b",".join(_ACCEPT.findall(data, 0, end))
    host = _host_untrusted(_HOST.findall(data, 0, end + 2))
    return Request(found[1].decode(), found[2].decode(), accept.decode(), host), end + 4


def _host_untrusted(values: list[bytes]) -> str:
    """Return the host of the field `Host` without its port (RFC 9110, 7.2)."""
    if not values:
        return ""
    found = _AUTHORITY.fullmatch(values[0])
    if found is None or len(values) > 1:
        raise http.BadRequest(400, "the request does not name one host")
    return (found[1] or found[2]).decode()


_MAX_REQUEST: Final = 16 * 1024
_REQUEST: Final = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]\r\n")
_ACCEPT: Final = re.compile(rb"\r\nAccept:([\x20-\x7e]*)", re.IGNORECASE)
_HOST: Final = re.compile(rb"\r\nHost:[ \t]*([^\r]*?)[ \t]*(?=\r)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.%\w]+)\]|([\w.-]*?)\.?)(?::[0-9]{0,5})?")
LOCAL_NAMES: Final = ("localhost", "ip6-localhost", "ip6-loopback")
_JSON: Final = "application/json; charset=utf-8"
