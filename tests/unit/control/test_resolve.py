from __future__ import annotations

import errno
import socket

import pytest

from holloway.control.resolve import BadEnvironment, SystemResolver
from holloway.errors import ConfigError
from holloway.model import Endpoint


class RecordingResolver:
    """A resolver that records its messages and its waits, and does not wait."""

    def __init__(self, retries: str | None = None) -> None:
        self.messages: list[str] = []
        self.waits: list[float] = []
        environment = {} if retries is None else {"WG_ENDPOINT_RESOLUTION_RETRIES": retries}
        self.resolver = SystemResolver(self.messages.append, environment, self.waits.append)

    def endpoint(self, text: str = "vpn.example:5") -> Endpoint:
        host, _, service = text.rpartition(":")
        return self.resolver.endpoint(host, service, text)


class FailingLookup:
    """Replaces getaddrinfo: it fails `times` times, then answers."""

    def __init__(self, error: OSError, times: int) -> None:
        self.error, self.left = error, times
        self.answer = socket.getaddrinfo("1.2.3.4", 5, type=socket.SOCK_DGRAM)

    def __call__(self, *_: object) -> object:
        self.left -= 1
        if self.left >= 0:
            raise self.error
        return self.answer


AGAIN = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def test_a_temporary_failure_is_retried_after_growing_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(AGAIN, 3))
    resolver = RecordingResolver()
    assert resolver.endpoint() == Endpoint("1.2.3.4", 5)
    assert resolver.waits == [1.0, 1.2, 1.44]
    assert resolver.messages[1] == (
        "Temporary failure in name resolution: `vpn.example:5'. Trying again in 1.20 seconds..."
    )


def test_the_resolver_gives_up_after_fifteen_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(AGAIN, 100))
    resolver = RecordingResolver()
    with pytest.raises(ConfigError, match=r"name resolution: `vpn\.example:5'$"):
        resolver.endpoint()
    assert len(resolver.waits) == 15


def test_infinity_never_gives_up_and_waits_at_most_20_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(AGAIN, 100))
    resolver = RecordingResolver("infinity")
    assert resolver.endpoint() == Endpoint("1.2.3.4", 5)
    assert (len(resolver.waits), resolver.waits[-1]) == (100, 20.0)


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_FAIL, socket.EAI_NODATA])
def test_a_permanent_failure_is_not_retried(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(socket.gaierror(number, "gone"), 1))
    resolver = RecordingResolver()
    with pytest.raises(ConfigError, match="gone"):
        resolver.endpoint()
    assert resolver.waits == []


def test_a_system_error_is_reported_with_its_message(monkeypatch: pytest.MonkeyPatch) -> None:
    error = OSError(errno.EMFILE, "Too many open files")
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(error, 9))
    with pytest.raises(ConfigError, match=r"Too many open files: `vpn\.example:5'"):
        RecordingResolver("0").endpoint()


def test_an_invalid_variable_raises_bad_environment() -> None:
    with pytest.raises(BadEnvironment, match="WG_ENDPOINT_RESOLUTION_RETRIES: `x'"):
        RecordingResolver("x").endpoint()


def test_a_port_may_be_a_large_number_and_wraps_around() -> None:
    assert RecordingResolver().resolver.port("70000") == 4464
    assert RecordingResolver().endpoint("::1:70000").port == 4464


def test_a_host_with_non_ascii_letters_is_looked_up_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []
    answer = socket.getaddrinfo("1.2.3.4", 5, type=socket.SOCK_DGRAM)

    def record(*arguments: object) -> object:
        asked.extend(arguments[:2])
        return answer

    monkeypatch.setattr(socket, "getaddrinfo", record)
    RecordingResolver().endpoint("b\u00fccher:http")
    assert asked == ["b\u00fccher".encode(), b"http"]


@pytest.mark.parametrize("text", ["192.0.2.1:5", "2001:DB8:0::1:5", "::ffff:1.2.3.4:65535"])
def test_a_numeric_endpoint_is_parsed_without_a_lookup(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    host, _, service = text.rpartition(":")
    found = socket.getaddrinfo(host, service, type=socket.SOCK_DGRAM)[0][4]
    monkeypatch.setattr(socket, "getaddrinfo", FailingLookup(AGAIN, 1))
    resolver = RecordingResolver("0")
    assert resolver.endpoint(text) == Endpoint(str(found[0]), int(found[1]))
