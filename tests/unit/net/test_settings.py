"""The settings that a network reads from a file, and its notes about those without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holloway import ConfigError, Endpoint, Key
from holloway.net.errors import NoNamespace
from holloway.net.settings import from_config

if TYPE_CHECKING:
    from pathlib import Path

KEY = Key(bytes(31) + b"\x40")
PEER = KEY.public()
FULL = f"""[Interface]
PrivateKey = {KEY.base64}
ListenPort = 51000
Address = 10.10.10.2/24, fd10::2/64
DNS = 10.10.10.1, home
MTU = 1380
Table = off
SaveConfig = true
PreUp = nothing
PostDown = nothing

[Peer]
PublicKey = {PEER.base64}
Endpoint = 192.0.2.1:51820
AllowedIPs = 10.10.10.0/24, fd10::/64
PersistentKeepalive = 25
"""


class Answering:
    """A resolver that knows one name."""

    def port(self, service: str) -> int:
        return int(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        assert (host, service, text) == ("vpn.example", "51820", "vpn.example:51820")
        return Endpoint("192.0.2.9", 51820)

    def warn(self, sentence: str) -> None:
        raise AssertionError(sentence)


def test_a_file_gives_the_settings_of_a_network() -> None:
    settings = from_config(FULL)
    assert [str(address) for address in settings.addresses] == ["10.10.10.2/24", "fd10::2/64"]
    assert (settings.servers, settings.domains, settings.mtu) == (("10.10.10.1",), ("home",), 1380)
    assert settings.update.private_key == KEY
    assert settings.update.listen_port == 51000
    (peer,) = settings.update.peers
    assert peer.public_key == PEER
    assert peer.endpoint == Endpoint("192.0.2.1", 51820)
    assert peer.persistent_keepalive == 25
    assert settings.source is None


def test_settings_without_effect_in_a_program_are_noted() -> None:
    assert from_config(FULL).notes == (
        "PreUp is not run: a program's network has no hooks",
        "PostDown is not run: a program's network has no hooks",
        "Table means nothing here: the routes of the system are left alone",
        "SaveConfig means nothing here: the file is never written",
    )


def test_a_network_is_named_by_its_file(tmp_path: Path) -> None:
    for name, network in (("laptop", "laptop"), ("a name with spaces", "holloway")):
        path = tmp_path / f"{name}.conf"
        path.write_text(FULL)
        assert from_config(path).name == network
        assert from_config(str(path)).name == network


def test_the_name_of_an_endpoint_is_looked_up_when_the_network_opens() -> None:
    settings = from_config(FULL.replace("192.0.2.1", "vpn.example"))
    assert settings.source is not None
    resolved = settings.resolved(Answering())
    assert resolved.update.peers[0].endpoint == Endpoint("192.0.2.9", 51820)
    assert resolved.source is None
    assert resolved.resolved(Answering()) is resolved


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Address = 10.10.10.2/24, fd10::2/64\n", "", "needs an address of its own"),
        ("fd10::2/64", "fd10::x/64", r"Address: `fd10::x/64' is not an IP address"),
        ("MTU = 1380", "MTU = 67", "MTU: `67' is not from 68 to 65535"),
        ("PersistentKeepalive = 25", "PersistentKeepalive = often", "line 16"),
        (KEY.base64, "short", "line 2"),
    ],
)
def test_a_bad_value_is_refused_before_anything_opens(old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        from_config(FULL.replace(old, new))


@pytest.mark.parametrize(
    ("number", "step", "sentence"),
    [
        (1, "user namespace", "forbids user namespaces .*unprivileged_userns_clone"),
        (28, "user namespace", "forbids user namespaces .*max_user_namespaces"),
        (13, "user namespace", "forbids user namespaces .*AppArmor or SELinux"),
        (1, "network namespace", "gives user namespaces no rights .*AppArmor"),
        (2, "open /dev/net/tun", "there is no TUN device here"),
        (22, "set the mtu", "set the mtu: Invalid argument"),
    ],
)
def test_a_refused_namespace_is_explained(number: int, step: str, sentence: str) -> None:
    with pytest.raises(NoNamespace, match=sentence) as refused:
        raise NoNamespace(number, step)
    assert (refused.value.errno, refused.value.step) == (number, step)


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="config: give the path of a wg-quick file, or its text"):
        from_config(text)


@pytest.mark.parametrize(("given", "kind"), [(None, "None"), (b"[Interface]", "bytes")])
def test_what_is_neither_path_nor_text_is_a_type_error(given: object, kind: str) -> None:
    with pytest.raises(TypeError, match=f"config is the path .*, not {kind}$"):
        from_config(given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "key", "reason"),
    [
        ("PrivateKey", "PrivateKey", "missing: add `PrivateKey"),
        ("AllowedIPs", "AllowedIPs", "missing: add `AllowedIPs"),
        ("Address", "Address", "needs an address of its own"),
    ],
)
def test_a_file_that_lacks_a_setting_is_refused_by_its_name(
    line: str, key: str, reason: str
) -> None:
    text = "\n".join(each for each in FULL.splitlines() if not each.startswith(line))
    with pytest.raises(ConfigError, match=reason) as raised:
        from_config(text)
    assert raised.value.key == key


def test_one_peer_of_several_may_have_no_allowed_ips() -> None:
    other = Key(bytes(31) + b"\x41").public()
    settings = from_config(f"{FULL}[Peer]\nPublicKey = {other.base64}\n")
    assert len(settings.update.peers) == 2


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("51000", "70000", "line 3: ListenPort: 70000 is not from 0 to 65535"),
        ("192.0.2.1:51820", "192.0.2.1:70000", "line 14: Endpoint: 70000 is not from 0 to 65535"),
        ("192.0.2.1:51820", "vpn.example:70000", "line 14: Endpoint: 70000 is not from"),
    ],
)
def test_a_port_out_of_range_is_refused_with_its_line(before: str, after: str, place: str) -> None:
    with pytest.raises(ConfigError) as raised:
        from_config(FULL.replace(before, after))
    assert place in str(raised.value)
