"""The values of `DNS`, and the programs that set name servers."""

from __future__ import annotations

import pytest

from holloway.quick import dns
from holloway.quick.dns import Servers
from holloway.quick.facts import DnsTool


def test_addresses_and_domains_are_distinguished():
    servers = Servers.parse(["10.0.0.1", "home", "fd00::1", "lan.example"])
    assert servers.text == "nameserver 10.0.0.1\nnameserver fd00::1\nsearch home lan.example\n"


@pytest.mark.parametrize("value", ["home", "lan.example.", "~home", "a_b-c.d", "x" * 63])
def test_domains(value: str):
    assert dns.is_search_domain(value)


@pytest.mark.parametrize(
    "value", ["", ".", "a..b", "a b", "a$b", "10.0.0.300", "::g", "x" * 64, "a." * 128, "é"]
)
def test_no_domains(value: str):
    assert not dns.is_search_domain(value)


def texts(old: list[str], new: list[str], tool: DnsTool) -> list[str]:
    steps = dns.change("wg0", Servers.parse(old), Servers.parse(new), tool)
    return [line for step in steps for line in step.text.split("\n")]


def test_a_change_calls_the_program_that_sets_servers():
    assert texts(["10.0.0.1"], ["10.0.0.2"], DnsTool.RESOLVCONF) == ["resolvconf -a wg0 -m 0 -x"]
    assert texts([], ["10.0.0.2", "home"], DnsTool.RESOLVECTL) == [
        "resolvectl dns wg0 10.0.0.2",
        "resolvectl domain wg0 ~. home",
    ]
    assert texts(["10.0.0.2"], [], DnsTool.RESOLVECTL) == ["resolvectl revert wg0"]


def test_no_change_calls_no_program():
    assert texts(["10.0.0.1"], ["10.0.0.1"], DnsTool.FILE) == []
    assert texts(["home"], [], DnsTool.RESOLVCONF) == []
