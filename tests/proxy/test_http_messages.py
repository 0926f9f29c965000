"""How the HTTP proxy parses requests, what it refuses, and what the server gets."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import BadMessage
from holloway.proxy import http

TOKENS = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,20}", fullmatch=True)
VALUES = st.from_regex(r"[!-~]([ -~]{0,40}[!-~])?", fullmatch=True)


def head(text: str) -> http.Head:
    data = text.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n"
    found = http.read_head_untrusted(data)
    assert found is not None
    assert found[1] == len(data)
    return found[0]


def rewritten(text: str) -> str:
    return http.rewrite(head(text)).decode("latin-1").replace("\r\n", "\n").removesuffix("\n\n")


@given(st.one_of(st.binary(max_size=400), st.text(max_size=200).map(str.encode)))
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    for more in (data, b"GET http://a/ HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        with suppress(http.BadRequest):
            http.read_head_untrusted(more)


@given(st.lists(st.tuples(TOKENS, VALUES), max_size=8))
def test_what_the_server_gets_is_one_head_whatever_the_fields(
    fields: list[tuple[str, str]],
) -> None:
    lines = "".join(f"\n{name}: {value}" for name, value in fields)
    try:
        found = head(f"GET http://host/path HTTP/1.1{lines}")
    except http.BadRequest:
        return
    data = http.rewrite(found)
    assert data.count(b"\r\n\r\n") == 1
    assert data.startswith(b"GET /path HTTP/1.1\r\nHost: host\r\n")
    assert data.lower().count(b"\r\nhost:") == 1


def test_a_request_is_put_into_origin_form_without_fields_for_the_proxy() -> None:
    assert rewritten(
        "POST http://nas.home:8080/a/b?c=d#e HTTP/1.1\nHost: other\nProxy-Connection: keep-alive\n"
        "Proxy-Authorization: Basic eA==\nConnection: keep-alive, X-Own\nX-Own: 1\n"
        "Accept: */*\nContent-Length: 3"
    ) == (
        "POST /a/b?c=d HTTP/1.1\nHost: nas.home:8080\nAccept: */*\nContent-Length: 3\n"
        "Connection: close"
    )


def test_an_upgrade_is_kept() -> None:
    assert (
        rewritten("GET http://h/chat HTTP/1.1\nConnection: Upgrade\nUpgrade: websocket")
        == "GET /chat HTTP/1.1\nHost: h\nConnection: Upgrade\nUpgrade: websocket"
    )


@pytest.mark.parametrize(
    ("target", "host", "port", "path"),
    [
        ("http://10.0.0.1", "10.0.0.1", 80, "/"),
        ("HTTP://Nas:81/x", "Nas", 81, "/x"),
        ("http://[fd00::1]:8080/", "fd00::1", 8080, "/"),
        ("http://h?q=1", "h", 80, "/?q=1"),
    ],
)
def test_urls_are_parsed(target: str, host: str, port: int, path: str) -> None:
    found = head(f"GET {target} HTTP/1.1")
    assert (found.host, found.port, found.path) == (host, port, path)


def test_connect_names_host_and_port() -> None:
    found = head("CONNECT [fd00::1]:443 HTTP/1.1\nHost: x")
    assert (found.host, found.port, found.path) == ("fd00::1", 443, None)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET / HTTP/1.1", 400),
        ("GET https://h/ HTTP/1.1", 400),
        ("GET http://user:secret@h/ HTTP/1.1", 400),
        ("GET http://h:99999/ HTTP/1.1", 400),
        ("GET http:///x HTTP/1.1", 400),
        ("CONNECT h HTTP/1.1", 400),
        ("CONNECT h:0 HTTP/1.1", 400),
        ("GET http://h/ HTTP/2.0", 400),
        ("GET  http://h/ HTTP/1.1", 400),
        ("GET http://h/ HTTP/1.1\n folded: x", 400),
        ("GET http://h/ HTTP/1.1\nno colon", 400),
        ("GET http://h/ HTTP/1.1\nspace : x", 400),
        ("GET http://h/ HTTP/1.1\nX: a\x00b", 400),
        ("GET http://h/ HTTP/1.1\nX: a\nContent-Length: 1\nContent-Length: 2", 400),
        ("GET http://h/ HTTP/1.1\nContent-Length: +1", 400),
        ("GET http://h/ HTTP/1.1\nContent-Length: 1\nTransfer-Encoding: chunked", 400),
        ("GET http://h/ HTTP/1.1\nTransfer-Encoding: gzip, chunked", 501),
        ("GET http://h/ HTTP/1.1" + "\nA: b" * 201, 431),
    ],
)
def test_ambiguous_requests_are_refused(text: str, status: int) -> None:
    with pytest.raises(http.BadRequest) as caught:
        head(text)
    assert caught.value.status == status


def test_a_bare_line_feed_is_not_a_line_end() -> None:
    assert http.read_head_untrusted(b"GET http://h/ HTTP/1.1\nHost: h\n\n") is None
    with pytest.raises(http.BadRequest):
        http.read_head_untrusted(b"GET http://h/ HTTP/1.1\r\nX: a\nY: b\r\n\r\n")


def test_a_head_without_an_end_is_refused_when_it_is_too_large() -> None:
    with pytest.raises(http.BadRequest, match="too large"):
        http.read_head_untrusted(b"GET http://h/" + b"a" * http.MAX_HEAD)


def test_another_protocol_is_refused_at_its_first_byte() -> None:
    with pytest.raises(http.BadRequest, match="no HTTP"):
        http.read_head_untrusted(b"\x05")


def credentials(value: str) -> tuple[bytes, bytes] | None:
    found = head(f"GET http://h/ HTTP/1.1\nProxy-Authorization: {value}")
    return http.read_credentials_untrusted(found)


@given(st.binary(max_size=30).filter(lambda user: b":" not in user), st.binary(max_size=30))
def test_credentials_are_read_back(user: bytes, password: bytes) -> None:
    assert credentials("Basic " + base64.b64encode(user + b":" + password).decode()) == (
        user,
        password,
    )


@pytest.mark.parametrize("value", ["Basic", "Basic !!!", "Basic dXNlcg==", "Bearer dTpw", "x"])
def test_malformed_credentials_are_none(value: str) -> None:
    assert credentials(value) is None


CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=5)


def chunked(chunks: list[bytes], trailers: bytes = b"") -> bytes:
    body = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return body + b"0\r\n" + trailers + b"\r\n"


@given(CHUNKS, st.booleans(), st.binary(max_size=20), st.integers(1, 50))
def test_the_end_of_a_chunked_body_is_found_in_any_pieces(
    chunks: list[bytes], has_trailers: bool, rest: bytes, step: int
) -> None:
    body = chunked(chunks, b"X: y\r\n" if has_trailers else b"")
    data, walker, taken = body + rest, http.Chunks(), 0
    for at in range(0, len(data), step):
        taken += walker.take_untrusted(data[at : at + step])
    assert walker.is_done
    assert taken == len(body)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_any_bytes_are_parsed_or_refused_as_chunks(pieces: list[bytes]) -> None:
    walker = http.Chunks()
    try:
        for piece in pieces:
            assert 0 <= walker.take_untrusted(piece) <= len(piece)
    except BadMessage:
        pass


@pytest.mark.parametrize("data", [b"x\r\n", b"-1\r\n", b"1\n", b"\r\n", b"1" * 9000])
def test_malformed_chunks_are_refused(data: bytes) -> None:
    with pytest.raises(BadMessage):
        http.Chunks().take_untrusted(data)
