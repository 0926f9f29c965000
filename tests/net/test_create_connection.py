"""`create_connection` of a blocking network is `socket.create_connection`, on both stacks."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from typing import TYPE_CHECKING

import pytest

from net.blocking_pair import ECHO, BlockingPair, blocking_pair
from net.pair import FIRST, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module", params=["kernel", "userspace"])
def both(request: pytest.FixtureRequest) -> Iterator[BlockingPair]:
    with blocking_pair(request.param) as made:
        yield made


@pytest.mark.parametrize(
    "address",
    [
        ("nas", ECHO), ("nas.home", str(ECHO)), (FIRST[0], "echo"), (FIRST[1], ECHO),
        (FIRST[1], ECHO, 0, 0), (FIRST[0].encode(), ECHO),
    ],
)  # fmt: skip
def test_an_address_may_be_whatever_socket_takes(
    both: BlockingPair, address: tuple[str, int]
) -> None:
    with both.second.create_connection(address, 20) as made:
        assert made.gettimeout() == 20
        made.sendall(b"hello")
        assert made.recv(100) == b"hello"


def test_the_timeout_is_that_of_the_program(both: BlockingPair) -> None:
    with both.second.create_connection((FIRST[0], ECHO)) as made:
        assert made.gettimeout() is None
    socket.setdefaulttimeout(21)
    try:
        with both.second.create_connection((FIRST[0], ECHO)) as made:
            assert made.gettimeout() == 21
        with both.second.create_connection((FIRST[0], ECHO), None) as made:
            assert made.gettimeout() is None
    finally:
        socket.setdefaulttimeout(None)


@pytest.mark.parametrize("source", [("", 0), (SECOND[0], 0), (SECOND[0], 4321), ("", 4322)])
def test_a_source_address_is_bound(both: BlockingPair, source: tuple[str, int]) -> None:
    with both.second.create_connection((FIRST[0], ECHO), 20, source) as made:
        host, port = made.getsockname()[:2]
        assert host == SECOND[0]
        assert source[1] in {0, port}


def test_the_last_error_is_raised_or_all(both: BlockingPair) -> None:
    with pytest.raises(ConnectionRefusedError):
        both.second.create_connection(("nas.home", 9), 20)
    with pytest.raises(ExceptionGroup) as raised:
        both.second.create_connection(("nas.home", 9), 20, all_errors=True)
    assert [type(each) for each in raised.value.exceptions] == [ConnectionRefusedError] * 2


def test_what_is_no_address_is_refused_before_anything_is_sent(both: BlockingPair) -> None:
    for address, error in (
        ((FIRST[0], 70_000), OverflowError),
        ((FIRST[0], "no such service"), socket.gaierror),
        (("", ECHO), socket.gaierror),
        (("a..b", ECHO), socket.gaierror),
        (("nobody.home", ECHO), socket.gaierror),
    ):
        with pytest.raises(error):
            both.second.create_connection(address, 20)


def test_a_lookup_ends_with_the_timeout_and_says_so(both: BlockingPair) -> None:
    with pytest.raises(TimeoutError, match=r"looking up nas\.home"):
        both.second.create_connection(("nas.home", ECHO), 1e-9)


def test_http_client_takes_it(both: BlockingPair) -> None:
    connection = http.client.HTTPConnection("nas.home", ECHO)
    connection._create_connection = both.second.create_connection  # type: ignore[attr-defined]
    connection.request("GET", "/")
    with pytest.raises(http.client.BadStatusLine, match=r"GET / HTTP/1\.1"):  # it is an echo
        connection.getresponse()
    connection.close()


def test_a_transport_of_xmlrpc_takes_it(both: BlockingPair) -> None:
    class Transport(xmlrpc.client.Transport):
        def make_connection(self, host: object) -> http.client.HTTPConnection:
            made = super().make_connection(host)  # type: ignore[arg-type]
            made._create_connection = both.second.create_connection  # type: ignore[attr-defined]
            return made

    with (
        xmlrpc.client.ServerProxy(f"http://nas.home:{ECHO}", Transport()) as proxy,
        pytest.raises(http.client.BadStatusLine, match="POST /RPC2"),
    ):
        proxy.anything()
