"""The metrics of a proxy for Prometheus: the connection log's counters, and the peers'.

They show public keys, and neither secrets nor clients and targets. prometheus_client defines the
format. Knows no HTTP; only `health` imports it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from holloway.model import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.core import Metric

    from holloway.model import Device, Peer
    from holloway.proxy.connection_log import ConnectionLog


class HasDevice(Protocol):
    """The part of a network that is counted."""

    @property
    def device(self) -> Device: ...


class Metrics(Collector):
    """Reads the current counters for each answer."""

    def __init__(self, tunnel: HasDevice, connection_log: ConnectionLog) -> None:
        self._tunnel = tunnel
        self._connection_log = connection_log
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def write(self, accept: str) -> tuple[str, str]:
        """Return the metrics in the format that `accept` prefers, and the format's media type."""
        try:
            encode, kind = choose_encoder(accept)
        except TypeError:  # the client asks for a version that is no number
            encode, kind = choose_encoder("")
        return encode(self._registry).decode(), kind

    def collect(self) -> Iterable[Metric]:
        """Yield every metric with its samples; the library calls this."""
        yield from self._of_proxy()
        yield from _of_peers(self._tunnel.device.peers)

    def _of_proxy(self) -> Iterable[Metric]:
        open_now = self._connection_log.open_connections()
        yield GaugeMetricFamily("holloway_proxy_open_connections", "Connections now.", open_now)
        ended = CounterMetricFamily(
            "holloway_proxy_connections",
            "Connections that ended, and how.",
            labels=("service", "outcome"),
        )
        for labels, count in sorted(self._connection_log.ended.items()):
            ended.add_metric(labels, count)
        yield ended
        moved = CounterMetricFamily(
            "holloway_proxy_bytes", "Bytes of TCP, by direction.", labels=("direction",)
        )
        for direction, count in zip(
            ("sent", "received"), self._connection_log.moved(), strict=True
        ):
            moved.add_metric((direction,), count)
        yield moved
        datagrams = CounterMetricFamily(
            "holloway_proxy_datagrams", "Datagrams, by what became of them.", labels=("outcome",)
        )
        for outcome, count in sorted(self._connection_log.datagrams.items()):
            datagrams.add_metric((outcome,), count)
        yield datagrams


def _of_peers(peers: Sequence[Peer]) -> Iterable[Metric]:
    labels = ("public_key",)
    handshake = GaugeMetricFamily(
        "holloway_peer_latest_handshake_seconds", "When, since 1970; 0 is never.", labels=labels
    )
    received = CounterMetricFamily(
        "holloway_peer_received_bytes", "Bytes of UDP from the peer.", labels=labels
    )
    sent = CounterMetricFamily(
        "holloway_peer_sent_bytes", "Bytes of UDP to the peer.", labels=labels
    )
    for peer in peers:
        key = (peer.public_key.base64,)
        handshake.add_metric(key, peer.latest_handshake / SECOND)
        received.add_metric(key, peer.rx_bytes)
        sent.add_metric(key, peer.tx_bytes)
    yield from (handshake, received, sent)
