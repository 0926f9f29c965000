"""The metrics, parsed by Prometheus's own parser, and the request for them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from holloway import Key
from holloway.errors import BadMessage
from holloway.model import SECOND, Device, Peer
from holloway.proxy.connection_log import HEALTH, ConnectionLog
from holloway.proxy.health import Request, read_request_untrusted
from holloway.proxy.metrics import Metrics

PRIVATE, SHARED = Key(b"\x06" * 32), Key(b"\x07" * 32)
PEERS = (
    Peer(
        Key(b"\x05" * 32), SHARED, latest_handshake=1_800_000_000 * SECOND, rx_bytes=5, tx_bytes=6
    ),
    Peer(Key(b"\xff" * 32)),
)
CLIENT = ("127.0.0.1", 50000)
PLAIN = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text"


@dataclass
class Tunnel:
    device: Device


def metrics(peers: tuple[Peer, ...] = PEERS) -> Metrics:
    connection_log = ConnectionLog(lambda: (10, 20))
    for service in ("socks5", HEALTH):
        connection_log.begin(service, CLIENT)
    for outcome in ("gone", "gone", "refused"):
        connection_log.fail(connection_log.begin("http", CLIENT), outcome, "a reason")
    connection_log.datagrams["sent"] += 3
    return Metrics(Tunnel(Device("hw0", PRIVATE, peers=peers)), connection_log)


def samples(text: str) -> dict[tuple[str, ...], float]:
    """Return the samples by name and labels' values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_counter_is_there() -> None:
    text, kind = metrics().write("*/*")
    first, second = (peer.public_key.base64 for peer in PEERS)
    assert kind == PLAIN
    assert samples(text) == {
        ("holloway_proxy_open_connections",): 1,
        ("holloway_proxy_connections_total", "gone", "http"): 2,
        ("holloway_proxy_connections_total", "refused", "http"): 1,
        ("holloway_proxy_bytes_total", "sent"): 10,
        ("holloway_proxy_bytes_total", "received"): 20,
        ("holloway_proxy_datagrams_total", "sent"): 3,
        ("holloway_peer_latest_handshake_seconds", first): 1_800_000_000,
        ("holloway_peer_latest_handshake_seconds", second): 0,
        ("holloway_peer_received_bytes_total", first): 5,
        ("holloway_peer_received_bytes_total", second): 0,
        ("holloway_peer_sent_bytes_total", first): 6,
        ("holloway_peer_sent_bytes_total", second): 0,
    }


def test_every_metric_has_its_help_and_its_type() -> None:
    lines = metrics(peers=()).write("")[0].splitlines()
    helped = [line.split()[2] for line in lines if line.startswith("# HELP ")]
    typed = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert helped == typed
    assert len(set(typed)) == 7


def test_no_secret_is_shown() -> None:
    for accept in ("", OPEN):
        text, _ = metrics().write(accept)
        for key in (PRIVATE, SHARED):
            assert key.base64 not in text


@pytest.mark.parametrize("version", ["", ";version=1.0.0", ";version=1.0.0;escaping=allow-utf-8"])
def test_a_client_that_asks_for_openmetrics_gets_it(version: str) -> None:
    text, kind = metrics().write(f"{OPEN}{version};q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2")
    assert kind.startswith(f"{OPEN}; version=1.0.0; charset=utf-8")
    assert "# TYPE holloway_proxy_connections counter\n" in text
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize("version", ["new", "1.x", "-1", "9" * 5000])
def test_an_invalid_version_gets_plain_text(version: str) -> None:
    assert metrics().write(f"{OPEN};version={version}")[1] == PLAIN


REQUESTS = st.builds(
    lambda accept: b"GET /metrics HTTP/1.1\r\nAccept: %s\r\n\r\n" % accept,
    st.one_of(
        st.binary(max_size=100),
        st.from_regex(
            rb"(application/openmetrics-text|text/plain)(; *(version|escaping)=[ -~]{0,9}){0,3}",
            fullmatch=True,
        ),
    ),
)


@given(st.one_of(st.binary(max_size=300), REQUESTS))
def test_any_request_is_answered_or_refused_as_a_bad_message(data: bytes) -> None:
    with suppress(BadMessage):
        found = read_request_untrusted(data)
        if found is not None:
            _, kind = metrics().write(found[0].accept)
            assert kind.isprintable()


def test_all_accepted_types_are_parsed_and_nothing_else() -> None:
    head = (
        b"GET /metrics HTTP/1.1\r\nHost: x\r\naccept: text/plain\r\nX-Accept: no\r\nAccept: */*\r\n"
    )
    rest = b"\r\nAccept: not/this\r\n"
    found = read_request_untrusted(head + rest)
    assert found == (Request("GET", "/metrics", " text/plain, */*", "x"), len(head) + 2)


@pytest.mark.parametrize(
    ("fields", "host"),
    [
        (b"", ""),
        (b"Host:\r\n", ""),
        (b"host: \t nas.home.:9080 \r\n", "nas.home"),
        (b"Host: 127.0.0.1:9080\r\n", "127.0.0.1"),
        (b"Accept: a\r\nHost: [fd00::1]:80\r\nAccept: b\r\n", "fd00::1"),
        (b"X-Host: x\r\nHost: y\r\n", "y"),
    ],
)
def test_the_host_is_read_without_its_port(fields: bytes, host: str) -> None:
    found = read_request_untrusted(b"GET / HTTP/1.1\r\n" + fields + b"\r\nHost: no\r\n\r\n")
    assert found is not None
    assert found[0].host == host


@pytest.mark.parametrize(
    "fields", [b"Host: a\r\nHost: a\r\n", b"Host: a b\r\n", b"Host: a:b\r\n", b"Host: a/\r\n"]
)
def test_two_hosts_and_what_is_no_host_are_refused(fields: bytes) -> None:
    with pytest.raises(BadMessage):
        read_request_untrusted(b"GET / HTTP/1.1\r\n" + fields + b"\r\n")
