"""Hosts, ports and addresses as programs pass them, and the errors that name them."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from holloway import ConfigError
from holloway.net.arguments import checked_address, checked_host, checked_port


@pytest.mark.parametrize(
    "given", ["10.0.0.5", b"10.0.0.5", ip_address("10.0.0.5")], ids=["text", "bytes", "address"]
)
def test_a_host_may_be_text_bytes_or_an_address(given: object) -> None:
    assert checked_host(given) == "10.0.0.5"


def test_brackets_around_an_address_are_removed() -> None:
    assert checked_host("[fd00::5]") == "fd00::5"


@pytest.mark.parametrize(("given", "kind"), [(None, "None"), (5, "int"), (("a", 5), "tuple")])
def test_what_is_no_host_is_a_type_error(given: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"host is a name or an address, not {kind}"):
        checked_host(given)


def test_an_empty_host_is_refused() -> None:
    with pytest.raises(ConfigError, match="host: give a name or an address"):
        checked_host("")


@pytest.mark.parametrize(("given", "number"), [(0, 0), (65535, 65535), ("80", 80), ("https", 443)])
def test_a_port_is_a_number_or_a_service(given: object, number: int) -> None:
    assert checked_port(given) == number


@pytest.mark.parametrize("given", [70000, -1, "70000"])
def test_a_port_that_is_out_of_range_is_refused_as_by_sockets(given: object) -> None:
    with pytest.raises(ConfigError, match=r"port: .* is not from 0 to 65535") as raised:
        checked_port(given)
    assert isinstance(raised.value, OverflowError)


@pytest.mark.parametrize(("given", "kind"), [(None, "None"), (8.0, "float")])
def test_what_is_no_port_is_a_type_error(given: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"port is a number from 0 to 65535, not {kind}"):
        checked_port(given)


@pytest.mark.parametrize("given", ["no-such-service", "1" * 40, "a\0b", ""])
def test_an_unknown_service_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"port: .* is neither a number nor a known service"):
        checked_port(given)


def test_an_address_is_a_host_and_a_port() -> None:
    assert checked_address(None, "source") is None
    assert checked_address(("", 0), "source") == ("", 0)
    assert checked_address(["fd00::1", "53", 0, 0], "source") == ("fd00::1", 53)
    for wrong in ("10.0.0.2", ("10.0.0.2",), 5):
        with pytest.raises(TypeError, match="source is a host and a port"):
            checked_address(wrong, "source")
