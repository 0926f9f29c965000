"""An HTTP page of how a proxy is: `/healthz`, `/readyz`, `/status` and `/metrics`.

`/metrics` is Prometheus' text format, written here: it is lines of name and number. Shows public
keys, and neither secrets nor who speaks with whom.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import TYPE_CHECKING, Final, Protocol

from holloway.proxy import http

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holloway.model import Device
    from holloway.proxy.door import Visitor
    from holloway.proxy.journal import Journal

SLACK: Final = 2.0
"""Seconds that an answer may be late before it counts as missing, as wireproxy has it."""


class Tunnel(Protocol):
    """What of a network is shown."""

    @property
    def device(self) -> Device: ...

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
        """Seconds since 1970, 0 for never."""
        self._tasks = [asyncio.create_task(self._ping(address)) for address in addresses]

    @property
    def is_ready(self) -> bool:
        """Whether every address answered lately."""
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
                pass  # TimeoutError is one: told by how long ago the last answer was
            else:
                self.answered[address] = int(time.time())
                self._clock[address] = time.monotonic()
            await next_turn


class Health:
    """The service behind the page."""

    name = "health"

    def __init__(self, tunnel: Tunnel, journal: Journal, alive: AliveCheck) -> None:
        self._tunnel = tunnel
        self._journal = journal
        self._alive = alive

    async def serve(self, visitor: Visitor) -> None:
        method, path = await visitor.reader.read(read_request_untrusted)
        visitor.admit(path)
        await visitor.part(self._answer(method, path))

    def _answer(self, method: str, path: str) -> bytes:
        if method not in ("GET", "HEAD"):
            return http.write_answer(405, "GET it\n", (("Allow", "GET, HEAD"),))
        match path.partition("?")[0]:
            case "/healthz":
                return http.write_answer(200, "ok\n")
            case "/readyz":
                text = json.dumps(self._alive.answered, separators=(",", ":"))
                status = 200 if self._alive.is_ready else 503
                return http.write_answer(status, text, kind="application/json")
            case "/status":
                return http.write_answer(200, self.status(), kind="application/json")
            case "/metrics":
                return http.write_answer(200, self.metrics(), kind="text/plain; version=0.0.4")
        return http.write_answer(404, "there are /healthz, /readyz, /status and /metrics\n")

    def status(self) -> str:
        """How it is, as JSON."""
        sent, received = self._journal.moved()
        ended: dict[str, dict[str, int]] = {}
        for (service, outcome), count in sorted(self._journal.ended.items()):
            ended.setdefault(service, {})[outcome] = count
        peers = [
            {
                "public_key": peer.public_key.base64,
                "endpoint": None if peer.endpoint is None else str(peer.endpoint),
                "latest_handshake": peer.latest_handshake // 10**9,
                "received": peer.rx_bytes,
                "sent": peer.tx_bytes,
            }
            for peer in self._tunnel.device.peers
        ]
        status = {
            "stack": self._tunnel.stack,
            "open": len(self._open()),
            "ended": ended,
            "sent": sent,
            "received": received,
            "datagrams": dict(self._journal.datagrams),
            "peers": peers,
        }
        return json.dumps(status, indent=2) + "\n"

    def metrics(self) -> str:
        """How it is, as Prometheus reads it."""
        lines: list[str] = []
        for name, kind, help_text, samples in self._metrics():
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{labels} {value}" for labels, value in samples]
        return "\n".join(lines) + "\n"

    def _metrics(self) -> Iterable[tuple[str, str, str, list[tuple[str, float]]]]:
        sent, received = self._journal.moved()
        ended = sorted(self._journal.ended.items())
        yield (
            "holloway_proxy_open_connections",
            "gauge",
            "Connections now.",
            [("", len(self._open()))],
        )
        yield (
            "holloway_proxy_connections_total",
            "counter",
            "Connections that ended, and how.",
            [
                (f'{{service="{service}",outcome="{outcome}"}}', count)
                for (service, outcome), count in ended
            ],
        )
        yield (
            "holloway_proxy_bytes_total",
            "counter",
            "Bytes of TCP, by direction.",
            [
                ('{direction="sent"}', sent),
                ('{direction="received"}', received),
            ],
        )
        yield (
            "holloway_proxy_datagrams_total",
            "counter",
            "Datagrams, by what became of them.",
            [
                (f'{{outcome="{outcome}"}}', count)
                for outcome, count in sorted(self._journal.datagrams.items())
            ],
        )
        peers = [(f'{{public_key="{p.public_key.base64}"}}', p) for p in self._tunnel.device.peers]
        yield (
            "holloway_peer_latest_handshake_seconds",
            "gauge",
            "When, since 1970; 0 is never.",
            [(labels, peer.latest_handshake / 10**9) for labels, peer in peers],
        )
        yield (
            "holloway_peer_received_bytes_total",
            "counter",
            "Bytes of UDP from the peer.",
            [(labels, peer.rx_bytes) for labels, peer in peers],
        )
        yield (
            "holloway_peer_sent_bytes_total",
            "counter",
            "Bytes of UDP to the peer.",
            [(labels, peer.tx_bytes) for labels, peer in peers],
        )

    def _open(self) -> list[object]:
        return [each for each in self._journal.open if each.service != self.name]


def read_request_untrusted(data: bytes) -> tuple[tuple[str, str], int] | None:
    """Read method and path of a request; what else it says does not matter here."""
    end = data.find(b"\r\n\r\n", 0, _MAX_REQUEST)
    if end < 0:
        if len(data) >= _MAX_REQUEST:
            raise http.BadRequest(431, "the request is too large")
        return None
    found = _REQUEST.match(data)
    if found is None:
        raise http.BadRequest(400, "this is no request for a page")
    return (found[1].decode("ascii"), found[2].decode("ascii")), end + 4


_MAX_REQUEST: Final = 16 * 1024
_REQUEST: Final = re.compile(rb"([A-Z]{1,16}) (/[\x21-\x7e]*) HTTP/1\.[01]\r\n")
