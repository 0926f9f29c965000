"""Configurations of wireproxy, wg-quick files, and the forwards of the command line."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import ConfigError
from holloway.proxy.settings import (
    ForwardPort,
    HttpPort,
    Login,
    Socks5Port,
    parse_forward,
    parse_settings,
)

if TYPE_CHECKING:
    from holloway.proxy.address import Address

WG = """\
[Interface]
Address = 10.200.200.2/32 # mine
PrivateKey = uCTIK+56CPyCvwJxmU5dBfuyJvPuSXAq1FzHdnIxe1Q=
DNS = 10.200.200.1

[Peer]
PublicKey = QP+A67Z2UBrMgvNIdHv8gPel5URWNLS4B3ZQ2hQIZlg=
AllowedIPs = 10.200.200.0/24
Endpoint = my.ddns.example.com:51820
"""


def test_a_wg_quick_file_is_left_as_it_is_and_serves_nothing() -> None:
    settings = parse_settings(WG, {})
    assert settings.wg == WG
    assert (settings.ports, settings.stdio) == ((), None)


def test_every_section_of_wireproxy_is_read() -> None:
    settings = parse_settings(
        WG
        + """
[TCPClientTunnel]
BindAddress = 127.0.0.1:25565
Target = play.cubecraft.net:25565
[TCPServerTunnel]
ListenPort = 3422
Target = localhost:25545
[STDIOTunnel]
Target = ssh.myserver.net:22
[Socks5]
BindAddress = 127.0.0.1:25344
Username = me
Password = "a # b"
[http]
BindAddress = [::1]:25345 ; here
[UDPProxyTunnel]
BindAddress = :53
Target = [2606:4700::1111]:53
InactivityTimeout = 30 # seconds
""",
        {},
    )
    assert settings.ports == (
        ForwardPort(("127.0.0.1", 25565), ("play.cubecraft.net", 25565)),
        ForwardPort(("", 3422), ("localhost", 25545), is_reverse=True),
        Socks5Port(("127.0.0.1", 25344), Login("me", "a # b")),
        HttpPort(("::1", 25345)),
        ForwardPort(("", 53), ("2606:4700::1111", 53), is_udp=True, idle=30.0),
    )
    assert settings.stdio == ("ssh.myserver.net", 22)
    assert settings.wg.rstrip() == WG.rstrip()


def test_another_file_may_have_the_sections_of_wireguard() -> None:
    settings = parse_settings("WGConfig = /etc/wireguard/a.conf\n[http]\nBindAddress = :1\n", {})
    assert settings.wg_path == "/etc/wireguard/a.conf"


def test_a_peer_without_allowed_ips_has_all_of_them_where_the_file_is_wireproxys() -> None:
    bare = WG.replace("AllowedIPs = 10.200.200.0/24\n", "")
    second = "[Peer]\nPublicKey = a\nallowedips = 10.0.0.0/8\n"
    settings = parse_settings(f"{bare}\n[Socks5]\nBindAddress = :1\n{second}", {})
    assert settings.wg.count("AllowedIPs = 0.0.0.0/0, ::/0") == 1
    assert settings.wg.index("0.0.0.0/0") < settings.wg.index("allowedips")
    assert settings.wg.splitlines().index("[Peer]", 10) == bare.count("\n") + 3
    assert parse_settings(bare, {}).wg == bare


def test_values_may_come_from_the_environment() -> None:
    environment = {"KEY": "secret", "PASS": "word"}
    settings = parse_settings(
        "[Interface]\nPrivateKey = $KEY\n[Socks5]\nBindAddress=:1\nUsername=$$me\nPassword=$PASS",
        environment,
    )
    assert "PrivateKey = secret" in settings.wg
    assert settings.ports == (Socks5Port(("", 1), Login("$me", "word")),)


def test_alive_checks_are_read_from_the_interface() -> None:
    settings = parse_settings(
        "[Interface]\nAddress = 10.0.0.2\nCheckAlive = 1.1.1.1, 3.3.3.3\nCheckAliveInterval = 3\n",
        {},
    )
    assert (settings.check_alive, settings.check_interval) == (("1.1.1.1", "3.3.3.3"), 3.0)
    assert "CheckAlive" not in settings.wg


def test_a_password_does_not_show() -> None:
    assert "word" not in repr(Login("me", "word"))


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("[Socks]\n", 1, None),
        ("[Socks5]\n", 1, "BindAddress"),
        ("[Socks5]\nBindAddress = 1080\n", 2, "BindAddress"),
        ("[Socks5]\nBindAddress = :70000\n", 2, "BindAddress"),
        ("[Socks5]\nBindAddress = :1\nPasword = x\n", 3, "Pasword"),
        ("[Socks5]\nBindAddress = :1\nPassword = x\n", 3, "Password"),
        ("[Socks5]\nBindAddress = :1\nUsername = $NOBODY\n", 3, "Username"),
        ("[http]\nBindAddress = :1\nCertFile = x.pem\n", 3, "CertFile"),
        ("[http]\nnonsense\n", 2, None),
        ("[TCPClientTunnel]\nBindAddress = :1\nTarget = :22\n", 3, "Target"),
        ("[TCPServerTunnel]\nListenPort = x\nTarget = h:22\n", 2, "ListenPort"),
        ("[UDPProxyTunnel]\nBindAddress=:1\nTarget=h:1\nInactivityTimeout=-1\n", 4,
         "InactivityTimeout"),
        ("[STDIOTunnel]\nTarget = h:1\n[STDIOTunnel]\nTarget = h:2\n", 3, "STDIOTunnel"),
        ("Something = x\n", 1, "Something"),
    ],
)  # fmt: skip
def test_errors_name_line_and_key(text: str, line: int, key: str | None) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_settings(text, {})
    assert (caught.value.line, caught.value.key) == (line, key)


@given(st.text(max_size=300))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for more in (text, f"[Socks5]\nBindAddress = {text}", f"[Interface]\n{text}\n[Peer]\n{text}"):
        with suppress(ConfigError):
            parse_settings(more, {})


@pytest.mark.parametrize(
    ("text", "bind", "target", "is_udp"),
    [
        ("8080:nas.home:80", ("127.0.0.1", 8080), ("nas.home", 80), False),
        ("0.0.0.0:1:[fd00::1]:2", ("0.0.0.0", 1), ("fd00::1", 2), False),
        ("[::1]:1:h:2/udp", ("::1", 1), ("h", 2), True),
        (":53:10.0.0.1:53/UDP", ("", 53), ("10.0.0.1", 53), True),
    ],
)
def test_forwards_have_the_notation_of_ssh(
    text: str, bind: Address, target: Address, is_udp: bool
) -> None:
    found = parse_forward(text)
    assert (found.bind, found.target, found.is_udp) == (bind, target, is_udp)


def test_a_reverse_forward_listens_on_all_our_addresses() -> None:
    assert parse_forward("80:localhost:8000", is_reverse=True).bind == ("", 80)


@pytest.mark.parametrize("text", ["80", "80:h", "h:80", "80:h:x", "80::80", "1:2:3:4:5", "1:h:0"])
def test_malformed_forwards_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_forward(text)
