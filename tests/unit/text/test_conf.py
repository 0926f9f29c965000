from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holloway.errors import ConfigError
from holloway.key import Key
from holloway.model import AllowedIP, Device, DeviceUpdate, Endpoint, PeerUpdate
from holloway.text.conf import dump_conf, parse_conf, parse_quick
from models import devices

PRIVATE, PA, PB = Key(b"\x48" * 32), Key(bytes([5]) * 32), Key(bytes([9]) * 32)


class Numbers:
    """A resolver that accepts only numbers, and records its warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def port(self, service: str) -> int:
        if not (service.isascii() and service.isdigit() and len(service) < 6):
            raise ConfigError(f"no such service: `{service}'")
        return int(service)

    def endpoint(self, host: str, service: str, text: str) -> Endpoint:
        return Endpoint(host, self.port(service))

    def warn(self, sentence: str) -> None:
        self.warnings.append(sentence)


def parsed(text: str, *, append: bool = False) -> DeviceUpdate:
    return parse_conf(text, Numbers(), append=append)


def test_a_whole_file_becomes_an_update() -> None:
    text = f"""
    [Interface] # mine
    PrivateKey = {PRIVATE.base64}
    listenport = 5 1 8 2 0
    FWMARK = 0xca6c

    [peer]
    PublicKey={PA.base64}
    PresharedKey = {PB.base64}
    AllowedIPs = 10.0.0.0/24, fd00::/64
    AllowedIPs = 10.9.9.9
    Endpoint = [fe80::1%eth0]:51820
    PersistentKeepalive = 25
    [Peer]
    PublicKey = {PB.base64}
    PersistentKeepalive = off"""
    networks = tuple(map(AllowedIP.parse, ("10.0.0.0/24", "fd00::/64", "10.9.9.9/32")))
    first = PeerUpdate(
        PA,
        preshared_key=PB,
        endpoint=Endpoint("fe80::1%eth0", 51820),
        persistent_keepalive=25,
        replace_allowed_ips=True,
        allowed_ips=networks,
    )
    second = PeerUpdate(PB, persistent_keepalive=0, replace_allowed_ips=True)
    whole = DeviceUpdate(PRIVATE, 51820, 0xCA6C, replace_peers=True, peers=(first, second))
    assert parsed(text) == whole
    assert parsed(text, append=True) == replace(whole, replace_peers=False)


def test_unnamed_settings_are_reset_unless_the_file_is_appended() -> None:
    assert parsed("") == DeviceUpdate(Key.ZERO, 0, 0, replace_peers=True)
    assert parsed("", append=True) == DeviceUpdate()


def test_the_last_of_two_settings_counts() -> None:
    assert parsed("[Interface]\nListenPort=1\nListenPort=2\n").listen_port == 2


def test_host_bits_cause_a_warning_and_are_cleared() -> None:
    resolver = Numbers()
    text = f"[Peer]\nPublicKey={PA.base64}\nAllowedIPs=10.0.0.1/24"
    (peer,) = parse_conf(text, resolver).peers
    assert peer.allowed_ips == (AllowedIP.parse("10.0.0.0/24"),)
    assert resolver.warnings == ["Warning: AllowedIP has nonzero host part: 10.0.0.1/24"]


@pytest.mark.parametrize(
    ("text", "line", "key", "reason"),
    [
        ("[Interface]\nAddress = 10.0.0.1/24", 2, "Address",
         "Line unrecognized: `Address=10.0.0.1/24'"),
        ("\n\nPrivateKey = x", 3, "PrivateKey", "Line unrecognized: `PrivateKey=x'"),
        ("[Interface]\nListenPort =", 2, "ListenPort", "Line unrecognized: `ListenPort='"),
        ("[Interface]\nPrivateKey = abc", 2, "PrivateKey",
         "Key is not the correct length or format: `abc'"),
        ("[Interface]\nFwMark = zz", 2, "FwMark",
         "Fwmark is neither 0/off nor 0-0xffffffff: `zz'"),
        ("# x\n[Peer]\nPersistentKeepalive = 65536", 3, "PersistentKeepalive",
         "Persistent keepalive interval is neither 0/off nor 1-65535: `65536'"),
        ("[Peer]\nAllowedIPs = 10.0.0.300/32", 2, "AllowedIPs",
         "Unable to parse IP address: `10.0.0.300'"),
        ("[Peer]\nAllowedIPs = 10.0.0.0/33", 2, "AllowedIPs",
         "AllowedIP is not in the correct format: `10.0.0.0/33'"),
        ("[Peer]\nEndpoint = 1.2.3.4", 2, "Endpoint",
         "Unable to find port of endpoint: `1.2.3.4'"),
        ("[Peer]\nEndpoint = [::1", 2, "Endpoint",
         "Unable to find matching brace of endpoint: `[::1'"),
        ("[Interface]\n[Peer]\n", 2, "PublicKey", "A peer is missing a public key"),
    ],
)  # fmt: skip
def test_an_error_names_line_key_and_reason(text: str, line: int, key: str, reason: str) -> None:
    for append in (True, False):
        with pytest.raises(ConfigError) as caught:
            parsed(text, append=append)
        error = caught.value
        assert (error.line, error.key, error.reason) == (line, key, reason)


def test_an_error_in_a_wg_quick_file_has_the_line_number_of_the_whole_file() -> None:
    config = parse_quick("[Interface]\nAddress = 10.0.0.1/24\nMTU = 1400\nFwMark = zz\n")
    with pytest.raises(ConfigError) as caught:
        parse_conf(config, Numbers())
    assert str(caught.value).startswith("line 4: FwMark: Fwmark is neither")


@given(devices())
def test_a_printed_configuration_gives_the_same_device(device: Device) -> None:
    update = parsed(dump_conf(device))
    assert update.private_key == (device.private_key or Key.ZERO)
    assert (update.listen_port, update.fwmark) == (device.listen_port, device.fwmark)
    for peer, changed in zip(device.peers, update.peers, strict=True):
        assert changed == PeerUpdate(
            peer.public_key,
            preshared_key=peer.preshared_key,
            endpoint=peer.endpoint,
            persistent_keepalive=peer.persistent_keepalive or None,
            replace_allowed_ips=True,
            allowed_ips=peer.allowed_ips,
        )


LINES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["[Interface]", "[Peer]", f"PublicKey = {PA.base64}", "\0", "[", "="]),
    st.builds(
        "{} = {}".format,
        st.sampled_from(["ListenPort", "FwMark", "PrivateKey", "PublicKey", "PresharedKey", "DNS",
                         "AllowedIPs", "Endpoint", "PersistentKeepalive", "MTU", "SaveConfig"]),
        st.text("0123456789abcdefx:./[]%,", max_size=16) | st.text(max_size=8),
    ),
)  # fmt: skip


@given(st.lists(LINES).map("\n".join))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parsed(text).replace_peers
    with contextlib.suppress(ConfigError):
        assert parse_conf(parse_quick(text), Numbers()).replace_peers
